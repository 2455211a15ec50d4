//! The errors of the runtime and how CRI shows them.

use tonic::Status;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No sandbox, container or image of that name.
    #[error("{0}")]
    NotFound(String),
    /// The name is taken.
    #[error("{0}")]
    AlreadyExists(String),
    /// The request makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// The object is in the wrong state.
    #[error("{0}")]
    Precondition(String),
    /// It took too long.
    #[error("{0}")]
    Deadline(String),
    /// Somebody else is unreachable.
    #[error("{0}")]
    Unavailable(String),
    /// This version cannot do it.
    #[error("{0}")]
    Unsupported(String),
    /// Anything else.
    #[error("{0:#}")]
    Internal(#[from] anyhow::Error),
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Error::Internal(error.into())
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Error::Internal(error.into())
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error {
            Error::NotFound(_) => Status::not_found(message),
            Error::AlreadyExists(_) => Status::already_exists(message),
            Error::Invalid(_) => Status::invalid_argument(message),
            Error::Precondition(_) => Status::failed_precondition(message),
            Error::Deadline(_) => Status::deadline_exceeded(message),
            Error::Unavailable(_) => Status::unavailable(message),
            Error::Unsupported(_) => Status::unimplemented(message),
            Error::Internal(_) => Status::unknown(message),
        }
    }
}

/// The result of the runtime's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;
