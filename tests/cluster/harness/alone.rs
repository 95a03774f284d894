//! Tests with tight bars, one at a time: two of them on two cores would measure each other.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Until it is dropped no other of them runs in this process.
pub fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}
