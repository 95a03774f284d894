//! How far a long command is: a bar on a terminal, else a line on stderr every few seconds; nothing with `--quiet`.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output::say;
use super::terminal;
use crate::clock::Clock;
use crate::domain::time::Mono;

/// Time between two lines where there is no bar.
const BETWEEN_LINES: Duration = Duration::from_secs(5);
/// With a known end.
const BAR: &str = "{wide_bar} {percent}% {msg} [{elapsed}, {eta} left]";
/// Without one.
const SPINNER: &str = "{spinner} {msg} [{elapsed}]";

/// How far it is.
#[derive(Debug)]
pub struct Progress {
    shown: Shown,
    clock: Clock,
}

#[derive(Debug)]
enum Shown {
    Bar(ProgressBar),
    /// The last line was said then.
    Lines(Mono),
    Nothing,
}

impl Progress {
    /// Begins; `total` is where it ends, if that is known.
    pub fn begin(total: Option<u64>, quiet: bool) -> Self {
        let clock = Clock::new();
        let shown = match (quiet, terminal::can_be_redrawn()) {
            (true, _) => Shown::Nothing,
            (false, true) => Shown::Bar(bar(total)),
            (false, false) => Shown::Lines(clock.mono()),
        };
        Self { shown, clock }
    }

    /// It has come so far, which `words` tell.
    pub fn at(&mut self, position: u64, words: impl FnOnce() -> String) {
        match &mut self.shown {
            Shown::Bar(bar) => {
                bar.set_position(position);
                bar.set_message(words());
            }
            Shown::Lines(last) => {
                let now = self.clock.mono();
                if now.since(*last) >= BETWEEN_LINES {
                    *last = now;
                    say(&words());
                }
            }
            Shown::Nothing => {}
        }
    }

    /// Does what writes to the terminal without the bar in its way.
    pub fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.shown {
            Shown::Bar(bar) => bar.suspend(write),
            _ => write(),
        }
    }
}

impl Drop for Progress {
    /// The bar is for the time under way; what came of it is said by words.
    fn drop(&mut self) {
        if let Shown::Bar(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }
}

fn bar(total: Option<u64>) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
    bar.set_style(style(total.is_some()));
    bar
}

/// The templates are constants: that they can be read is tested.
fn style(with_end: bool) -> ProgressStyle {
    let template = if with_end { BAR } else { SPINNER };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_can_be_read() {
        for template in [BAR, SPINNER] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }

    #[test]
    fn nothing_is_told_when_nobody_wants_to_know() {
        let mut progress = Progress::begin(Some(1), true);
        progress.at(1, || panic!("not asked for"));
        assert_eq!(progress.aside(|| 7), 7);
    }
}
