//! What a node's last report says of its actors, as it is to be understood now.

use std::collections::HashMap;
use std::time::Duration;

use super::{NAME_CHARS, SILENT};
use crate::dashboard::look::Look;
use crate::dashboard::pictures::wiring::Wire;
use crate::dashboard::words::clipped;
use crate::domain::GenerationId;
use crate::domain::figures::ActorFigures;
use crate::store::{Generation, Reported, Standing};

/// A node that takes part, with its last report.
#[derive(Debug, Clone, Copy)]
pub struct Node<'a> {
    /// Its life.
    pub generation: &'a Generation,
    /// What it has reported last.
    pub report: Option<&'a Reported>,
    rates: &'a HashMap<(GenerationId, String), f64>,
    errors: &'a HashMap<(GenerationId, String), u64>,
}

/// All that live, in the order in which they are known.
pub fn nodes<'a>(look: &'a Look) -> Vec<Node<'a>> {
    let node = |generation: &'a Generation| Node {
        generation,
        report: look.reports.iter().find(|report| report.generation == generation.id),
        rates: &look.rates,
        errors: &look.errors,
    };
    look.living().map(node).collect()
}

impl<'a> Node<'a> {
    /// Its name, fit to be shown.
    pub fn name(&self) -> String {
        clipped(&self.generation.node, NAME_CHARS)
    }

    /// Something is known of its actors.
    pub fn is_reported(&self) -> bool {
        self.report.is_some()
    }

    /// Its actors take part; those of a draining one have ended.
    pub fn is_alive(&self) -> bool {
        self.generation.standing == Standing::Alive
    }

    /// How long it has not reported, if that is too long.
    pub fn mute(&self) -> Option<Duration> {
        self.report.map(|report| report.age).filter(|age| *age >= SILENT)
    }

    /// What it has reported of its actors.
    pub fn actors(&self) -> &'a [ActorFigures] {
        match self.report {
            Some(report) => &report.snapshot.actors,
            None => &[],
        }
    }

    /// Messages a second; `None` before the second report.
    pub fn rate(&self, actor: &ActorFigures) -> Option<f64> {
        self.rates.get(&(self.generation.id, actor.name.clone())).copied()
    }

    /// Errors between its last two reports.
    pub fn recent_errors(&self, actor: &ActorFigures) -> u64 {
        self.errors.get(&(self.generation.id, actor.name.clone())).copied().unwrap_or(0)
    }

    /// Since its last sign of life, as far as this page knows: the report is somewhat old itself.
    pub fn silence(&self, actor: &ActorFigures) -> Duration {
        let age = self.report.map(|report| report.age).unwrap_or_default();
        age.saturating_add(Duration::from_millis(actor.silence_ms))
    }

    /// It should have shown a sign of life by now.
    pub fn is_silent(&self, actor: &ActorFigures) -> bool {
        self.is_alive() && self.silence(actor) >= SILENT
    }

    /// For the picture.
    pub fn wires(&self) -> Vec<Wire> {
        let wire = |actor: &ActorFigures| Wire {
            name: clipped(&actor.name, NAME_CHARS),
            per_second: self.rate(actor).unwrap_or(0.0),
            mailbox: actor.mailbox,
            is_silent: self.is_silent(actor),
            errors: actor.errors,
            restarts: actor.restarts,
        };
        self.actors().iter().map(wire).collect()
    }
}

#[cfg(test)]
pub mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::api::fake;
    use crate::domain::figures::{Figures, Minute, Snapshot};
    use crate::metrics::ActorName;

    const A: GenerationId = GenerationId(Uuid::from_u128(1));

    /// A cluster of one node of this standing, which reported so long ago that its actors live and do nothing.
    pub fn look(standing: Standing, age: Duration) -> Look {
        let actor = |name: ActorName| ActorFigures { name: name.word().to_owned(), ..ActorFigures::default() };
        let snapshot = Snapshot { actors: ActorName::ALL.map(actor).to_vec(), ..Snapshot::default() };
        let current = Minute { begun_us: 0, figures: Figures::default() };
        let report = Reported { generation: A, age, snapshot, current };
        Look { generations: vec![fake::generation(A, standing)], reports: vec![report], ..Look::default() }
    }

    /// The actors of the node of [`look`].
    pub fn actors(look: &mut Look) -> &mut Vec<ActorFigures> {
        &mut look.reports[0].snapshot.actors
    }

    #[test]
    fn silence_counts_from_the_sign_of_life_on() {
        let mut of_alive = look(Standing::Alive, Duration::from_secs(2));
        actors(&mut of_alive)[0].silence_ms = 2_999;
        actors(&mut of_alive)[1].silence_ms = 3_000;
        let silent = |look: &Look| {
            let node = nodes(look)[0];
            node.actors().iter().map(|actor| node.is_silent(actor)).collect::<Vec<_>>()
        };
        assert_eq!(silent(&of_alive), [false, true, false, false, false, false]);
        let draining = look(Standing::Draining, Duration::from_mins(1));
        assert_eq!(silent(&draining), [false; 6], "its actors have ended");
        assert!(nodes(&look(Standing::Dead, Duration::ZERO)).is_empty());
    }

    #[test]
    fn a_picture_is_given_what_is_known() {
        let mut look = look(Standing::Alive, Duration::ZERO);
        actors(&mut look)[5].mailbox = 7;
        look.rates.insert((A, "executor".to_owned()), 12.5);
        let wires = nodes(&look)[0].wires();
        assert_eq!((wires.len(), wires[5].name.as_str(), wires[5].mailbox), (6, "executor", 7));
        assert!((wires[5].per_second - 12.5).abs() < 1e-9 && wires[0].per_second.abs() < 1e-9);
    }
}
