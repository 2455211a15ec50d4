//! Errors, as upstream's kubectl words them.

use std::fmt;

use ferrule_apimachinery::status::{Reason, Status};

/// Why a command failed.
#[derive(Clone, Debug)]
pub enum Error {
    /// The server refused.
    Server(Status),
    /// The server refused something that was read from a file: what was tried, and the file.
    From(Status, String),
    /// Something of our own: `error: ...`.
    Local(String),
    /// Text that is printed as it is.
    Plain(String),
    /// Several errors, each on a line of its own.
    Many(Vec<Error>),
    /// A process that ended with a code of its own: the text as it is, and the code.
    Ended(String, u8),
    /// Nothing to print, only a code.
    Exit(u8),
}

/// The result of a command.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error of our own.
    pub fn local(text: impl Into<String>) -> Error {
        Error::Local(text.into())
    }

    /// `Ok` when there are no errors.
    pub fn all(mut errors: Vec<Error>) -> Result<()> {
        match errors.len() {
            0 => Ok(()),
            1 => Err(errors.remove(0)),
            _ => Err(Error::Many(errors)),
        }
    }

    /// Says what was done with what file: `error when creating "web.yaml"`.
    pub fn when(self, doing: &str, source: &str) -> Error {
        match self {
            Error::Server(status) => Error::From(status, format!("error when {doing} {source:?}")),
            other => other,
        }
    }

    /// Words it as something that this program could not do: `error: failed to create secret …`.
    pub fn failed(self, what: &str) -> Error {
        match self {
            Error::Server(status) if status.code != 0 => {
                Error::Local(format!("{what}{}", status.message))
            }
            other => other,
        }
    }

    /// A command line that does not fit its command, with where to read more.
    pub fn usage(command: &str, text: impl fmt::Display) -> Error {
        Error::Local(format!(
            "{text}\nSee 'kubectl {command} -h' for help and examples"
        ))
    }

    /// Whether the server says that there is no such object.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Error::Server(status) | Error::From(status, _) if status.is_not_found())
    }

    /// What went wrong, without who says so: what Go's `%v` of it prints.
    pub fn message(&self) -> String {
        match self {
            Error::Server(status) | Error::From(status, _) => status.message.clone(),
            Error::Local(text) | Error::Plain(text) | Error::Ended(text, _) => text.clone(),
            Error::Many(errors) => aggregate(errors),
            Error::Exit(_) => String::new(),
        }
    }

    /// The exit code of the program.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Exit(code) | Error::Ended(_, code) => *code,
            _ => 1,
        }
    }
}

/// Several errors in one line, as Go's aggregates print: `[a, b]`, each text once.
pub fn aggregate(errors: &[Error]) -> String {
    let mut texts: Vec<String> = Vec::new();
    for text in errors.iter().map(Error::message) {
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    match texts.as_slice() {
        [one] => one.clone(),
        several => format!("[{}]", several.join(", ")),
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Error {
        Error::Server(status)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Server(status) => f.write_str(&from_server(status, None)),
            Error::From(status, context) => f.write_str(&from_server(status, Some(context))),
            Error::Local(text) if text.starts_with("error: ") => f.write_str(text),
            Error::Local(text) => write!(f, "error: {text}"),
            Error::Plain(text) | Error::Ended(text, _) => f.write_str(text),
            Error::Many(errors) => {
                // Among several, those of our own come without a prefix.
                let text = |error: &Error| match error {
                    Error::Local(text) => text.clone(),
                    error => error.to_string(),
                };
                let texts: Vec<String> = errors.iter().map(text).collect();
                f.write_str(&texts.join("\n"))
            }
            Error::Exit(_) => Ok(()),
        }
    }
}

fn from_server(status: &Status, context: Option<&str>) -> String {
    // No server sent this: none was reached.
    if status.code == 0 && status.reason == Reason::ServiceUnavailable {
        return unreachable(&status.message);
    }
    if status.reason == Reason::Invalid {
        return invalid(status);
    }
    let message = match context {
        Some(context) => format!("{context}: {}", status.message),
        None => status.message.clone(),
    };
    match status.reason.as_str() {
        "" | "Unknown" => format!("Error from server: {message}"),
        reason => format!("Error from server ({reason}): {message}"),
    }
}

fn invalid(status: &Status) -> String {
    let Some(details) = &status.details else {
        return format!("The request is invalid: {}", status.message);
    };
    let head = if details.kind.is_empty() && details.name.is_empty() {
        "The request is invalid".to_owned()
    } else {
        format!("The {} {:?} is invalid", details.kind, details.name)
    };
    let mut causes: Vec<String> = Vec::new();
    for cause in &details.causes {
        let text = format!("{}: {}", cause.field, cause.message);
        if !causes.contains(&text) {
            causes.push(text);
        }
    }
    match causes.as_slice() {
        [] if details.kind.is_empty() && details.name.is_empty() => {
            format!("{head}: {}", status.message)
        }
        [] => head,
        [one] => format!("{head}: {one}"),
        several => format!("{head}: \n* {}", several.join("\n* ")),
    }
}

fn unreachable(message: &str) -> String {
    let server = message
        .split("connect to ")
        .nth(1)
        .and_then(|rest| rest.split(": ").next());
    match server {
        Some(server) if message.contains("refused") => {
            format!(
                "The connection to the server {server} was refused - did you specify the right host or port?"
            )
        }
        _ if message.contains("UnknownIssuer") => {
            "Unable to connect to the server: tls: failed to verify certificate: x509: certificate signed by unknown authority"
                .to_owned()
        }
        _ => {
            let why = message.trim_start_matches("transport error: ");
            let why = why.trim_end_matches(": transport error");
            format!("Unable to connect to the server: {why}")
        }
    }
}
