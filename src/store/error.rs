//! What can go wrong with the task database itself.

/// The database did not do what it was asked for. Losing a race is no error but an outcome.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached in time; try again.
    #[error("the task database does not answer in time: {0}")]
    Unavailable(String),
    /// There is no room; try again when there is.
    #[error("there is no room left for the task database: {0}")]
    Full(String),
    /// A statement failed.
    #[error("the task database refused a statement: {0}")]
    Statement(#[from] diesel::result::Error),
    /// Something stored cannot be read: it was written by another program or version.
    #[error("a stored value cannot be read: {0}")]
    Unreadable(String),
    /// It cannot be opened as asked; the message says what to do.
    #[error("{0}")]
    Unusable(String),
}

impl StoreError {
    /// It may go through later, without anybody's doing (or after making room).
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Full(_))
    }
}
