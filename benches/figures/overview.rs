//! How fast the pages of the dashboard are answered when there is much, the next hour being full of it, and how soon what is
//! due in it has been counted.

use std::time::{Duration, Instant};

use super::filled::{Filling, KEEPS_ALL};
use super::listeners::Listeners;
use super::{Bar, Figure};
use crate::harness::node::until;
use crate::harness::{Node, http};
use crate::services::postgres::Server;

const PAGE_MS: f64 = 50.0;
/// A look at the database is kept for a second: so far apart each call takes one of its own.
const APART: Duration = Duration::from_millis(1_100);
/// Starts of the node, and calls after each: what is due is counted from the first on.
const STARTS: usize = 4;
const CALLS: usize = 5;
/// Calls of the page while it is open, and of each other page.
const BESIDE: usize = 20;
const OTHERS: usize = 10;
/// Of a start.
const SETTLES: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_mins(10);

/// On a file.
pub fn embedded(thousands: u32) -> Vec<Figure> {
    let filling = Filling::next_hour(thousands);
    let folder = filling.folder();
    let mut node = Node::in_folder(folder.path(), &KEEPS_ALL);
    let names = [
        "overview (file)",
        "first count of the next hour (file)",
        "page of the cluster (file)",
        "page of actors (file)",
    ];
    measure(&mut node, &filling, names)
}

/// On a PostgreSQL.
pub fn cluster(server: &Server, thousands: u32) -> Vec<Figure> {
    let filling = Filling::next_hour(thousands);
    let url = filling.schema(server);
    let [flag, hours] = KEEPS_ALL;
    let mut node = Node::with(&["--database-url", &url, flag, hours]);
    let names = [
        "overview (PostgreSQL)",
        "first count of the next hour (PostgreSQL)",
        "page of the cluster (PostgreSQL)",
        "page of actors (PostgreSQL)",
    ];
    measure(&mut node, &filling, names)
}

fn measure(node: &mut Node, filling: &Filling, [page, count, cluster, actors]: [&'static str; 4]) -> Vec<Figure> {
    let (firsts, later, counting) = after_starts(node);
    let others = ["/cluster", "/actors"].map(|path| (0..OTHERS).map(|_| apart(node, path).0).collect::<Vec<f64>>());
    start_again(node);
    let open = Listeners::open(node.address(), "overview", 1);
    let (took, counted) = first_count(node, filling);
    let beside: Vec<f64> = (0..BESIDE).map(|_| apart(node, "/").0).collect();
    open.close();
    assert!(filling.is_still_ahead(), "what was filled in has come due");
    told(&format!("{page}, first call after a start"), &firsts);
    told(&format!("{page}, further calls"), &later);
    told(&format!("{page}, while it is open"), &beside);
    let of = format!("{0} tasks wait, {0} have ended", filling.tasks());
    let detail = format!(
        "longest of {} calls with looks of their own, {counting} of them before the first count, and of {BESIDE} beside an open \
         page; {:.2} ms first after a start, {:.2} ms later, {:.2} ms beside; {of}",
        firsts.len() + later.len(),
        longest(&firsts),
        longest(&later),
        longest(&beside)
    );
    let value = longest(&[firsts, later, beside].concat());
    let mut figures = vec![
        Figure { name: page, value, unit: "ms", bar: Bar::AtMost(PAGE_MS), detail },
        Figure {
            name: count,
            value: took.as_secs_f64(),
            unit: "s",
            bar: Bar::None,
            detail: format!("{counted} tasks in it, while the page is open"),
        },
    ];
    for (name, took) in [cluster, actors].into_iter().zip(&others) {
        told(name, took);
        let detail = format!("longest of {OTHERS} calls with looks of their own; {of}");
        figures.push(Figure { name, value: longest(took), unit: "ms", bar: Bar::None, detail });
    }
    figures
}

/// The calls of the overview after some starts: each first, all others, and how many of all saw that it is being counted.
fn after_starts(node: &mut Node) -> (Vec<f64>, Vec<f64>, usize) {
    let (mut firsts, mut later, mut counting) = (Vec::new(), Vec::new(), 0);
    for start in 0..STARTS {
        if start == 0 {
            std::thread::sleep(SETTLES);
        } else {
            start_again(node);
        }
        for call in 0..CALLS {
            let (ms, html) = apart(node, "/");
            counting += usize::from(next_hour(&html).is_none());
            let took = if call == 0 { &mut firsts } else { &mut later };
            took.push(ms);
        }
    }
    (firsts, later, counting)
}

/// In the same place, with nothing in its memory.
fn start_again(node: &mut Node) {
    node.signal("TERM");
    assert!(node.wait().success());
    node.restart();
    std::thread::sleep(SETTLES);
}

/// From now until the page says what is due in the next hour, and how much that is.
fn first_count(node: &Node, filling: &Filling) -> (Duration, u64) {
    let (began, mut page) = (Instant::now(), String::new());
    until("what is due in the next hour was counted", PATIENCE, || {
        std::thread::sleep(Duration::from_millis(50));
        page = timed(node, "/").1;
        next_hour(&page).is_some()
    });
    let took = began.elapsed();
    let counted = number(next_hour(&page).unwrap());
    // What is due from 15 minutes after the filling on, since when some minutes may have gone.
    let part = counted as f64 / f64::from(filling.tasks());
    assert!((0.7..=1.0).contains(&part), "{counted} are said to be due in the next hour");
    (took, counted)
}

/// What the page says below the picture of the next hour, once it was counted.
fn next_hour(html: &str) -> Option<&str> {
    let section = html.split_once("<section id=\"forecast\"").expect("a section for the next hour").1;
    let section = section.split_once("</section>").unwrap().0;
    Some(section.split_once("<figcaption>")?.1)
}

/// With which a text begins, its digits in groups.
fn number(text: &str) -> u64 {
    let digits = text.chars().take_while(|c| !c.is_ascii_alphabetic()).filter(char::is_ascii_digit);
    digits.collect::<String>().parse().unwrap_or_else(|_| panic!("no number: {text}"))
}

/// After such a time that the last look has become too old.
fn apart(node: &Node, path: &str) -> (f64, String) {
    std::thread::sleep(APART);
    timed(node, path)
}

fn timed(node: &Node, path: &str) -> (f64, String) {
    let began = Instant::now();
    let answer = http::get(&node.url(path));
    let ms = began.elapsed().as_secs_f64() * 1e3;
    assert_eq!(answer.status, 200, "{path}");
    (ms, String::from_utf8(answer.body).unwrap())
}

fn longest(took: &[f64]) -> f64 {
    took.iter().copied().fold(0.0, f64::max)
}

fn told(what: &str, took: &[f64]) {
    println!(
        "      {what:<60} p50 {:>7.2} ms, max {:>7.2} ms; {} calls",
        super::median(took.to_vec()),
        longest(took),
        took.len()
    );
}
