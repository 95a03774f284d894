//! The master's other duty: what dead generations have left goes back to where it is looked for.

use super::parts::Parts;
use crate::domain::liveness::Liveness;
use crate::store::{Fence, Generation, Result, Standing};

/// One look at who is dead, on a blocking thread.
pub struct Recovery {
    /// What it works with.
    pub parts: Parts,
    /// Whose reign it is.
    pub fence: Fence,
}

impl Recovery {
    /// Recovers those whose counter stands still, and those known to be gone. What was seen so far comes back; without an
    /// answer of the database it does not count.
    pub fn run(&self, mut liveness: Liveness) -> Liveness {
        if let Err(cause) = self.look(&mut liveness) {
            log::warn!("recovery waits for the task database: {cause}");
            liveness.start_anew();
        }
        liveness
    }

    fn look(&self, liveness: &mut Liveness) -> Result<()> {
        let generations: Vec<Generation> =
            self.parts.store.generations()?.into_iter().filter(|known| known.standing != Standing::Dead).collect();
        let counters: Vec<_> = generations.iter().map(|known| (known.id, known.counter)).collect();
        let now = self.parts.metrics.clock().mono();
        liveness.observe(&counters, now);
        liveness.connections(|id| generations.iter().any(|known| known.id == id && known.connected));
        let silent = liveness.dead(now, self.parts.config.dead_after);
        for known in generations.iter().filter(|known| known.id != self.fence.generation) {
            if known.gone || silent.contains(&known.id) {
                self.recover(known)?;
            }
        }
        Ok(())
    }

    fn recover(&self, dead: &Generation) -> Result<()> {
        let Some(recovered) = self.parts.store.recover(self.fence, dead.id)? else { return Ok(()) };
        log::info!(
            "recovered generation {} of node {}: {} tasks scheduled again, {} unknown",
            dead.id,
            dead.node,
            recovered.scheduled.len(),
            recovered.unknown.len()
        );
        for id in &recovered.unknown {
            log::warn!("task {id} is unknown: its executor died in mid-call; settle it with resolve");
        }
        self.parts.status.hint(recovered.scheduled);
        Ok(())
    }
}
