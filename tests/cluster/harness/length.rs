//! Faults have a short form, and a long one: with `TASK_SCHEDULER_TEST_LONG=1`.

/// The long form is asked for.
pub fn is_long() -> bool {
    std::env::var_os("TASK_SCHEDULER_TEST_LONG").is_some()
}

/// One of the two.
pub fn of<T>(short: T, long: T) -> T {
    if is_long() { long } else { short }
}
