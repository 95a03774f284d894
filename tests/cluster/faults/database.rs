//! The database server ends as a crash does, and is started again a while later.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use uuid::Uuid;

use super::{Field, Layout, NEW, is_long, shapes, times};
use crate::harness::judge::{Bars, Fault};
use crate::harness::look::Look;
use crate::services::postgres::own_server;

/// Next start, from when it accepts connections. What was due meanwhile is as late as the server was away.
const BARS: Bars = Bars { starts: NEW, stored: Duration::MAX, held: Duration::ZERO, new: Duration::MAX };

fn living(look: &mut Look) -> HashSet<Uuid> {
    look.ids("SELECT id FROM generation WHERE state < 2")
}

#[test]
fn a_database_that_crashes_and_comes_back_kills_nobody() {
    let all = [Duration::from_secs(5), Duration::from_secs(20)];
    let pauses = if is_long() { &all[..] } else { &all[..1] };
    for shape in shapes() {
        let Some(server) = own_server(&[]) else { return };
        let Some(mut field) = Field::on(&server, &Layout::of(*shape)) else { return };
        for pause in pauses.iter().flat_map(|pause| vec![*pause; times(3)]) {
            field.swing();
            let before = living(&mut field.look);
            if let Some(last) = field.faults.last_mut() {
                last.end = Some(SystemTime::now());
            }
            server.kill();
            std::thread::sleep(pause);
            server.restart();
            let at = SystemTime::now();
            let calls = field.receiver.count();
            field.look = Look::at(&field.cluster.url);
            super::until("something is called", || field.receiver.count() > calls);
            println!("database away for {pause:?} ({shape:?}): next start after {:.2?}", at.elapsed().unwrap());
            field.was(Fault::of_nobody(at, BARS));
            field.quiet();
            assert_eq!(living(&mut field.look), before, "nobody was declared dead");
        }
        field.end().judge(&format!("database away ({shape:?})"));
    }
}
