//! A Status on the gRPC wire: the matching code, and the whole Status in a trailer.

use ferrule_apimachinery::status::{Reason, Status};
use tonic::Code;
use tonic::metadata::MetadataValue;

/// The gRPC form of a failure.
pub(crate) fn to_grpc(status: Status) -> tonic::Status {
    let mut answer = tonic::Status::new(code(&status), status.message.clone());
    let details = MetadataValue::from_bytes(&status.to_json());
    answer
        .metadata_mut()
        .insert_bin("ferrule-status-bin", details);
    answer
}

fn code(status: &Status) -> Code {
    match (&status.reason, status.http_code()) {
        (Reason::AlreadyExists, _) => Code::AlreadyExists,
        (Reason::Conflict, _) => Code::Aborted,
        (Reason::Expired, _) | (_, 410) => Code::OutOfRange,
        (_, 400 | 422 | 413 | 415) => Code::InvalidArgument,
        (_, 401) => Code::Unauthenticated,
        (_, 403) => Code::PermissionDenied,
        (_, 404) => Code::NotFound,
        (_, 405) => Code::Unimplemented,
        (_, 409) => Code::Aborted,
        (_, 429) => Code::ResourceExhausted,
        (_, 503) => Code::Unavailable,
        (_, 504) => Code::DeadlineExceeded,
        _ => Code::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_has_its_code_and_travels_whole() {
        for (status, expected) in [
            (Status::not_found("", "pods", "p"), Code::NotFound),
            (Status::already_exists("", "pods", "p"), Code::AlreadyExists),
            (Status::conflict("", "pods", "p", "changed"), Code::Aborted),
            (Status::bad_request("no"), Code::InvalidArgument),
            (Status::invalid("", "Pod", "p", &[]), Code::InvalidArgument),
            (
                Status::forbidden("", "pods", "p", "no"),
                Code::PermissionDenied,
            ),
            (Status::unauthorized(), Code::Unauthenticated),
            (Status::expired("old"), Code::OutOfRange),
            (
                Status::too_many_requests("slowly", 1),
                Code::ResourceExhausted,
            ),
            (Status::timeout("late", 0), Code::DeadlineExceeded),
            (Status::service_unavailable("away"), Code::Unavailable),
            (Status::internal("broken"), Code::Internal),
        ] {
            let wire = to_grpc(status.clone());
            assert_eq!(wire.code(), expected, "{status:?}");
            let bytes = wire
                .metadata()
                .get_bin("ferrule-status-bin")
                .unwrap()
                .to_bytes()
                .unwrap();
            assert_eq!(Status::from_json(&bytes).unwrap(), status);
        }
    }
}
