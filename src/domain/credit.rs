//! How much work a generation may be given: few claims to slow ones, full batches to fast ones.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::ids::GenerationId;
use super::recent::Recent;
use super::time::Mono;

/// What was settled this recently counts as proof of speed.
pub const RECENT: Duration = Duration::from_millis(500);

/// What is known of one generation's load when it is asked for its credit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Calls it can make at once.
    pub slots: u64,
    /// Claims assigned to it so far.
    pub assigned: u64,
    /// Claims of it settled so far: succeeded, failed, unknown, given back.
    pub settled: u64,
}

/// Remembers what each generation had settled when.
#[derive(Debug, Default)]
pub struct CreditMeter {
    settled: HashMap<GenerationId, Recent>,
}

impl CreditMeter {
    /// How many claims `generation` may be given at `now`: its slots plus what it settled in the last half second, at
    /// most `buffer`, minus what it has and has not settled.
    pub fn credit(&mut self, generation: GenerationId, load: Load, buffer: u64, now: Mono) -> u64 {
        let recent = self.settled.entry(generation).or_insert_with(|| Recent::over(RECENT)).growth(load.settled, now);
        let outstanding = load.assigned.saturating_sub(load.settled);
        let credit = load.slots.saturating_add(recent).min(buffer).saturating_sub(outstanding);
        // It has more than it can start: a small claim would cost a commit and hasten nothing.
        if outstanding > load.slots && credit < buffer / 4 { 0 } else { credit }
    }

    /// Forgets generations that are gone.
    pub fn keep(&mut self, living: &[GenerationId]) {
        self.settled.retain(|generation, _| living.contains(generation));
    }
}

/// Shares `wanted` tasks out among generations by their credits, turn by turn, so that each gets some of the first.
pub fn shares(credits: &[(GenerationId, u64)], wanted: usize) -> Vec<GenerationId> {
    let mut left: VecDeque<(GenerationId, u64)> = credits.iter().copied().filter(|(_, credit)| *credit > 0).collect();
    let mut shares = Vec::with_capacity(wanted);
    while shares.len() < wanted {
        let Some((generation, credit)) = left.pop_front() else { break };
        shares.push(generation);
        if credit > 1 {
            left.push_back((generation, credit - 1));
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const G: GenerationId = GenerationId(Uuid::from_u128(1));

    fn at(ms: u64) -> Mono {
        Mono(Duration::from_millis(ms))
    }

    fn load(assigned: u64, settled: u64) -> Load {
        Load { slots: 256, assigned, settled }
    }

    #[test]
    fn a_new_generation_gets_its_slots() {
        assert_eq!(CreditMeter::default().credit(G, load(0, 0), 2_000, at(0)), 256);
    }

    #[test]
    fn what_it_holds_is_taken_off() {
        assert_eq!(CreditMeter::default().credit(G, load(250, 0), 2_000, at(0)), 6);
        assert_eq!(CreditMeter::default().credit(G, load(900, 0), 2_000, at(0)), 0);
    }

    #[test]
    fn a_fast_one_earns_full_batches_up_to_the_buffer() {
        let mut meter = CreditMeter::default();
        meter.credit(G, load(0, 0), 2_000, at(0));
        assert_eq!(meter.credit(G, load(1_000, 1_000), 2_000, at(100)), 1_256);
        assert_eq!(meter.credit(G, load(9_000, 9_000), 2_000, at(200)), 2_000);
    }

    #[test]
    fn one_that_has_enough_to_do_gets_full_batches_or_nothing() {
        let mut meter = CreditMeter::default();
        meter.credit(G, load(0, 0), 2_000, at(0));
        assert_eq!(meter.credit(G, load(11_600, 10_000), 2_000, at(100)), 0, "400 are not worth a claim");
        assert_eq!(meter.credit(G, load(11_600, 10_200), 2_000, at(110)), 600);
        assert_eq!(meter.credit(G, load(11_600, 11_344), 2_000, at(120)), 1_744, "all it has is being called");
    }

    #[test]
    fn what_was_settled_long_ago_earns_nothing() {
        let mut meter = CreditMeter::default();
        meter.credit(G, load(0, 0), 2_000, at(0));
        meter.credit(G, load(1_000, 1_000), 2_000, at(100));
        assert_eq!(meter.credit(G, load(1_000, 1_000), 2_000, at(700)), 256);
    }

    #[test]
    fn work_is_shared_out_turn_by_turn_within_the_credits() {
        let other = GenerationId(Uuid::from_u128(2));
        let none = GenerationId(Uuid::from_u128(3));
        let credits = [(G, 3), (none, 0), (other, 1)];
        assert_eq!(shares(&credits, 3), vec![G, other, G]);
        assert_eq!(shares(&credits, 9), vec![G, other, G, G]);
    }

    #[test]
    fn the_gone_are_forgotten() {
        let mut meter = CreditMeter::default();
        meter.credit(G, load(0, 0), 2_000, at(0));
        meter.keep(&[]);
        assert!(meter.settled.is_empty());
    }
}
