//! What went wrong under a gRPC call, in words.

use std::error::Error;

/// The message with its causes: a transport's own says nothing (`transport error`).
pub fn describe(status: &tonic::Status) -> String {
    let mut text = match status.message() {
        "transport error" => String::new(),
        message => message.to_owned(),
    };
    let mut cause = status.source();
    while let Some(error) = cause {
        let part = error.to_string();
        if part != "transport error" && !text.contains(&part) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&part);
        }
        cause = error.source();
    }
    if text.is_empty() {
        text = status.code().description().to_owned();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::describe;

    #[derive(Debug, thiserror::Error)]
    #[error("transport error")]
    struct Transport(#[source] io::Error);

    #[test]
    fn the_cause_is_named_once() {
        let refused = io::Error::other("tcp connect error: refused");
        let status = tonic::Status::from_error(Box::new(Transport(refused)));
        assert_eq!(describe(&status), "tcp connect error: refused");
        let plain = tonic::Status::unavailable("etcdserver: no leader");
        assert_eq!(describe(&plain), "etcdserver: no leader");
        let silent = tonic::Status::unavailable("");
        assert_eq!(describe(&silent), tonic::Code::Unavailable.description());
    }
}
