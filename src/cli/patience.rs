//! Waiting in a command that has nothing else to do: between looks, and before another try.

use std::time::Duration;

use crate::clock::Clock;

/// Waits that grow from one to the next, up to a longest one.
#[derive(Debug, Clone)]
pub struct Patience {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Patience {
    /// The first wait, and the longest.
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first }
    }

    /// Waits, and the next time twice as long.
    pub fn wait(&mut self) {
        wait(self.step());
    }

    /// The same, but no longer than this.
    pub fn wait_at_most(&mut self, limit: Duration) {
        wait(self.step().min(limit));
    }

    /// The next wait begins as the first did.
    pub fn renew(&mut self) {
        self.next = self.first;
    }

    fn step(&mut self) -> Duration {
        let now = self.next;
        self.next = now.saturating_mul(2).min(self.longest);
        now
    }
}

/// Waits at least so long.
fn wait(duration: Duration) {
    let clock = Clock::new();
    // Nobody unparks this thread; but it may wake up by itself.
    while let Some(left) = duration.checked_sub(clock.mono().0).filter(|left| !left.is_zero()) {
        std::thread::park_timeout(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_the_longest_and_begin_anew() {
        let ms = Duration::from_millis;
        let mut patience = Patience::new(ms(10), ms(30));
        assert_eq!(
            [patience.step(), patience.step(), patience.step(), patience.step()],
            [ms(10), ms(20), ms(30), ms(30)]
        );
        patience.renew();
        assert_eq!(patience.step(), ms(10));
    }

    #[test]
    fn a_wait_is_never_too_short() {
        let clock = Clock::new();
        let before = clock.mono();
        wait(Duration::from_millis(5));
        assert!(clock.mono().since(before) >= Duration::from_millis(5));
    }
}
