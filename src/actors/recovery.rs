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
        let asked = self.parts.metrics.clock().mono();
        let generations: Vec<Generation> =
            self.parts.store.generations()?.into_iter().filter(|known| known.standing != Standing::Dead).collect();
        let counters: Vec<_> = generations.iter().map(|known| (known.id, known.counter)).collect();
        liveness.observe(&counters, self.parts.metrics.clock().mono());
        let dead_after = self.parts.config.dead_after;
        // A database that answers but commits nothing stops the counters of all, the master's own too.
        if liveness.all_stand_still(asked, dead_after / 2) {
            liveness.start_anew();
        }
        let silent = liveness.dead(asked, dead_after);
        for known in generations.iter().filter(|known| known.id != self.fence.generation) {
            // One that cannot be recovered keeps no other waiting; it comes again with the next look.
            if (known.gone || silent.contains(&known.id))
                && let Err(cause) = self.recover(known)
            {
                log::warn!("generation {} of node {} is not recovered yet: {cause}", known.id, known.node);
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
