//! The master's flag: an epoch and how long it may be trusted, never a bare yes.

use std::time::Duration;

use super::ids::Epoch;
use super::time::Mono;

/// What a node knows of its own mastership. It gates the Dispatcher to spare useless work; safety is the fence's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mastership {
    /// Another node is master, or none.
    #[default]
    Follower,
    /// This generation is master, as far as it can know until `trusted_until`.
    Master {
        /// The fencing token of this reign.
        epoch: Epoch,
        /// After this instant the lease may be another's.
        trusted_until: Mono,
    },
}

impl Mastership {
    /// After a take-over or a renewal that was asked for at `sent` and granted for `lease`.
    ///
    /// The right counts from *before* the question was sent, less a margin for clocks that run apart.
    pub fn granted(epoch: Epoch, sent: Mono, lease: Duration, margin: Duration) -> Self {
        Self::Master { epoch, trusted_until: sent.plus(lease.saturating_sub(margin)) }
    }

    /// It is about this reign, trusted or not.
    pub fn is_of(self, epoch: Epoch) -> bool {
        matches!(self, Self::Master { epoch: own, .. } if own == epoch)
    }

    /// The epoch to claim under at `now`; `None` when this node must not claim.
    pub fn epoch_at(self, now: Mono) -> Option<Epoch> {
        match self {
            Self::Master { epoch, trusted_until } if now < trusted_until => Some(epoch),
            _ => None,
        }
    }
}

/// A master whose passes have failed for this long may reach the database by its lease's connection alone: others may do
/// better.
const FAILING_MAX: Duration = Duration::from_secs(5);
/// The same where a pass does not come to an end: longer than the database lets a statement take.
const PASS_MAX: Duration = Duration::from_secs(15);

/// How the passes of a reign go.
#[derive(Debug, Default)]
pub struct Passes {
    ended: Mono,
    failing_since: Option<Mono>,
}

impl Passes {
    /// A reign begins.
    pub fn begin(&mut self, now: Mono) {
        *self = Self { ended: now, failing_since: None };
    }

    /// One has ended, well or not.
    pub fn end(&mut self, well: bool, now: Mono) {
        self.ended = now;
        self.failing_since = if well { None } else { self.failing_since.or(Some(now)) };
    }

    /// The reign is of no use: none goes through.
    pub fn are_in_vain(&self, now: Mono) -> bool {
        self.failing_since.is_some_and(|since| now.since(since) > FAILING_MAX) || now.since(self.ended) > PASS_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(3);
    const MARGIN: Duration = Duration::from_millis(500);

    #[test]
    fn trust_ends_a_margin_before_the_lease_counted_from_the_question() {
        let sent = Mono(Duration::from_secs(100));
        let flag = Mastership::granted(Epoch(7), sent, LEASE, MARGIN);
        assert_eq!(flag.epoch_at(sent), Some(Epoch(7)));
        assert_eq!(flag.epoch_at(sent.plus(Duration::from_millis(2_499))), Some(Epoch(7)));
        assert_eq!(flag.epoch_at(sent.plus(Duration::from_millis(2_500))), None);
    }

    #[test]
    fn a_reign_is_in_vain_when_its_passes_fail_or_do_not_end() {
        let at = |seconds: u64| Mono(Duration::from_secs(seconds));
        let mut passes = Passes::default();
        passes.begin(at(100));
        assert!(!passes.are_in_vain(at(114)), "slow, but under way");
        assert!(passes.are_in_vain(at(116)));
        passes.end(false, at(110));
        passes.end(false, at(115));
        assert!(!passes.are_in_vain(at(115)) && passes.are_in_vain(at(116)), "since the first that failed");
        passes.end(true, at(116));
        assert!(!passes.are_in_vain(at(121)));
    }

    #[test]
    fn a_follower_never_claims() {
        assert_eq!(Mastership::Follower.epoch_at(Mono::default()), None);
    }

    #[test]
    fn a_margin_longer_than_the_lease_trusts_nothing() {
        let flag = Mastership::granted(Epoch(1), Mono::default(), MARGIN, LEASE);
        assert_eq!(flag.epoch_at(Mono::default()), None);
    }
}
