//! `Connect`: a log, an exec, an attach or a forwarded port, between the client's stream and the kubelet's.

use ferrule_apimachinery::status::Status;
use ferrule_proto::v1;
use ferrule_proto::v1::connect_request::Frame as In;
use ferrule_proto::v1::connect_response::Frame as Out;
use ferrule_proto::v1::{exec_request, exec_response, port_forward_request};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use tonic::{Request, Streaming};

use super::{Call, Target, call, check_verb, labels, target, to_grpc};
use crate::serve::Front;
use crate::serve::metrics::Running;
use crate::verbs::Api;
use crate::verbs::connect::{Parameters, exit_status, of_kubelet};

type Stream = BoxStream<'static, Result<v1::ConnectResponse, tonic::Status>>;

pub(super) async fn serve(
    front: &Front,
    request: Request<Streaming<v1::ConnectRequest>>,
) -> Result<Stream, Status> {
    let call = call(&request)?;
    let mut frames = request.into_inner();
    let first = tokio::time::timeout_at(call.deadline, frames.message())
        .await
        .map_err(|_| Status::timeout("the first frame did not arrive", 0))?
        .map_err(|error| Status::bad_request(error.message()))?;
    let Some(v1::ConnectRequest {
        frame: Some(In::Open(open)),
    }) = first
    else {
        return Err(Status::bad_request(
            "the first frame must open the connection",
        ));
    };
    let target = target(&front.api, open.resource)?;
    let verb = if target.subresource == "log" {
        "get"
    } else {
        "create"
    };
    check_verb(verb, &target)?;
    let mut running = Running::begin(&front.metrics, labels(verb, &target, false), "");
    let stream = open_stream(front, &call, verb, &target, open.parameters, frames).await;
    running.answered(stream.as_ref().map_or_else(Status::http_code, |_| 200));
    // The request lasts as long as its stream.
    let whole = stream?.map(move |frame| {
        let _running = &running;
        frame
    });
    Ok(whole.boxed())
}

async fn open_stream(
    front: &Front,
    call: &Call,
    verb: &'static str,
    target: &Target,
    parameters: Vec<v1::Parameter>,
    frames: Streaming<v1::ConnectRequest>,
) -> Result<Stream, Status> {
    let pairs = parameters
        .into_iter()
        .map(|one| (one.name, one.value))
        .collect();
    let parameters = Parameters(pairs);
    front.api.authorize(call, &Api::attributes(verb, target))?;
    match target.subresource.as_str() {
        "log" => {
            let Some(logs) = front.api.logs(call, target, &parameters).await? else {
                return Ok(futures::stream::empty().boxed());
            };
            let stream = logs.map_ok(|chunk| response(Out::Stdout(chunk.data)));
            Ok(stream.map_err(|error| to_grpc(of_kubelet(error))).boxed())
        }
        "exec" | "attach" => {
            let input = frames.filter_map(async |frame| terminal_frame(frame.ok()?.frame?));
            let api = &front.api;
            let output = if target.subresource == "exec" {
                api.exec(call, target, &parameters, input).await?
            } else {
                api.attach(call, target, &parameters, input).await?
            };
            let stream = output
                .map_err(|error| to_grpc(of_kubelet(error)))
                .try_filter_map(async |frame| Ok(frame.frame.map(exec_frame)));
            Ok(stream.boxed())
        }
        "portforward" => {
            let input = frames.filter_map(async |frame| connection_frame(frame.ok()?.frame?));
            let output = front
                .api
                .port_forward(call, target, &parameters, input)
                .await?;
            let stream = output.map_ok(|chunk| response(Out::Stdout(chunk.data)));
            Ok(stream.map_err(|error| to_grpc(of_kubelet(error))).boxed())
        }
        _ => Err(Status::method_not_allowed()),
    }
}

/// What a client's frame is to a process.
fn terminal_frame(frame: In) -> Option<v1::ExecRequest> {
    let frame = match frame {
        In::Open(_) => return None,
        In::Stdin(data) => exec_request::Frame::Stdin(data),
        In::Resize(size) => exec_request::Frame::Resize(size),
        In::CloseStdin(close) => exec_request::Frame::CloseStdin(close),
    };
    Some(v1::ExecRequest { frame: Some(frame) })
}

/// What a client's frame is to a connection.
fn connection_frame(frame: In) -> Option<v1::PortForwardRequest> {
    let frame = match frame {
        In::Open(_) | In::Resize(_) => return None,
        In::Stdin(data) => port_forward_request::Frame::Data(data),
        In::CloseStdin(close) => port_forward_request::Frame::CloseWrite(close),
    };
    Some(v1::PortForwardRequest { frame: Some(frame) })
}

fn response(frame: Out) -> v1::ConnectResponse {
    v1::ConnectResponse { frame: Some(frame) }
}

fn exec_frame(frame: exec_response::Frame) -> v1::ConnectResponse {
    response(match frame {
        exec_response::Frame::Stdout(data) => Out::Stdout(data),
        exec_response::Frame::Stderr(data) => Out::Stderr(data),
        exec_response::Frame::ExitCode(code) => Out::Status(exit_status(code).to_string().into()),
    })
}
