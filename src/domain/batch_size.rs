//! How large the next batch of a long piece of work may be, so that nobody waits long for any of them.

use std::time::Duration;

/// A batch may take this long: a claim that comes meanwhile may have to wait for it.
const LONGEST: Duration = Duration::from_millis(8);
/// Fewer would cost more than they spare: each batch has a commit.
const LEAST: usize = 25;

/// Halves where a batch took too long, doubles where it was quick, up to a most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchSize {
    size: usize,
    most: usize,
}

impl BatchSize {
    /// Begins with the least.
    pub fn new(most: usize) -> Self {
        let most = most.max(1);
        Self { size: LEAST.min(most), most }
    }

    /// So large may the next one be.
    pub fn size(self) -> usize {
        self.size
    }

    /// One has taken so long.
    pub fn took(&mut self, lasted: Duration) {
        if lasted > LONGEST {
            self.size = (self.size / 2).max(LEAST.min(self.most));
        } else if lasted < LONGEST / 2 {
            self.size = self.size.saturating_mul(2).min(self.most);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_batches_get_smaller_and_quick_ones_larger_again() {
        let mut batch = BatchSize::new(100);
        let sizes = |batch: &mut BatchSize, lasted: Duration, times: usize| {
            let mut size = |_| {
                batch.took(lasted);
                batch.size()
            };
            (0..times).map(&mut size).collect::<Vec<_>>()
        };
        assert_eq!(batch.size(), 25);
        assert_eq!(sizes(&mut batch, Duration::ZERO, 4), [50, 100, 100, 100]);
        assert_eq!(sizes(&mut batch, LONGEST, 2), [100, 100], "just right");
        assert_eq!(sizes(&mut batch, LONGEST * 2, 4), [50, 25, 25, 25]);
        assert_eq!((BatchSize::new(0).size(), BatchSize::new(9).size()), (1, 9));
    }
}
