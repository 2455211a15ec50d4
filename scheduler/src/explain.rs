//! The introspection service: why a pod is or is not scheduled.

use ferrule_client::Key;
use ferrule_proto::v1::scheduler_introspection_server::SchedulerIntrospection;
use ferrule_proto::v1::{ExplainPodRequest, ExplainPodResponse, NodeVerdict, PluginScore};
use tokio::sync::{mpsc, oneshot};
use tonic::{Request, Response, Status};

use crate::framework::{Candidates, Difference, Refusal};
use crate::node::Node;
use crate::pod::Pod;
use crate::profile::Profile;
use crate::schedule::{Judgement, judge, scores};
use crate::snapshot::Snapshot;

/// A question to the scheduling loop, and where its answer goes.
pub type Question = (Key, oneshot::Sender<Option<ExplainPodResponse>>);

/// What every node says of a pod, as a decision now would find it: the refusal of the first plugin
/// that refuses, or the scores of all. For a pod that is on a node already, itself is among those
/// that it has to get along with.
pub fn explain(
    profile: &Profile,
    snapshot: &Snapshot,
    pod: &Pod,
    queue: &str,
) -> ExplainPodResponse {
    let judges = profile.judges(pod, snapshot);
    let narrowed = profile
        .filters()
        .find_map(|plugin| match plugin.candidates(pod) {
            Candidates::All => None,
            Candidates::Named(names) => Some((plugin.name(), names, None)),
            Candidates::None(refusal) => Some((plugin.name(), Vec::new(), Some(refusal))),
        });
    let left_out = |node: &Node| -> Judgement {
        let Some((plugin, names, refusal)) = &narrowed else {
            return Ok(());
        };
        if names.contains(&&*node.name) {
            return Ok(());
        }
        let reason = format!("node(s) didn't satisfy plugin(s) [{plugin}]");
        let refusal = refusal.clone();
        Err((
            plugin,
            refusal.unwrap_or_else(|| Refusal::unresolvable(reason)),
        ))
    };
    let judged: Vec<(&Node, Judgement)> = snapshot
        .known()
        .map(|node| {
            let verdict = left_out(node)
                .and_then(|()| judge(&judges, snapshot, pod, node, Difference::default()));
            (node, verdict)
        })
        .collect();
    let fitting: Vec<&Node> = judged
        .iter()
        .filter(|(_, verdict)| verdict.is_ok())
        .map(|(node, _)| *node)
        .collect();
    let scores = scores(profile, snapshot, pod, &fitting);
    let mut place = 0;
    let mut nodes: Vec<NodeVerdict> = judged
        .into_iter()
        .map(|(node, verdict)| {
            let mut told = NodeVerdict {
                node: node.name.to_string(),
                fits: verdict.is_ok(),
                ..NodeVerdict::default()
            };
            match verdict {
                Ok(()) => {
                    told.scores = scores
                        .iter()
                        .map(|(plugin, weight, scores)| PluginScore {
                            plugin: (*plugin).to_owned(),
                            score: scores[place],
                            weight: *weight,
                        })
                        .collect();
                    place += 1;
                    let weighted = told.scores.iter().map(|own| own.score * own.weight);
                    told.score = weighted.sum();
                }
                Err((plugin, refusal)) => {
                    told.refused_by = plugin.to_owned();
                    let reasons = refusal.reasons.into_iter();
                    told.reasons = reasons.map(|reason| reason.into_owned()).collect();
                }
            }
            told
        })
        .collect();
    nodes.sort_by(|one, other| one.node.cmp(&other.node));
    ExplainPodResponse {
        queue: queue.to_owned(),
        nodes,
        gate: profile.gate(pod).map(|(_, why)| why).unwrap_or_default(),
        nominated_node: pod.nominated.to_string(),
    }
}

/// Passes questions on to the loop, which alone knows.
pub struct Introspection(pub mpsc::Sender<Question>);

#[tonic::async_trait]
impl SchedulerIntrospection for Introspection {
    async fn explain_pod(
        &self,
        request: Request<ExplainPodRequest>,
    ) -> Result<Response<ExplainPodResponse>, Status> {
        let ExplainPodRequest { namespace, name } = request.into_inner();
        let (sender, receiver) = oneshot::channel();
        let unavailable = || Status::unavailable("this scheduler is not the leader");
        let key = Key::new(namespace.clone(), name.clone());
        self.0.try_send((key, sender)).map_err(|_| unavailable())?;
        let answer = tokio::time::timeout(std::time::Duration::from_secs(5), receiver).await;
        match answer {
            Ok(Ok(Some(answer))) => Ok(Response::new(answer)),
            Ok(Ok(None)) => Err(Status::not_found(format!(
                "no pod {namespace}/{name} of this scheduler is known"
            ))),
            _ => Err(unavailable()),
        }
    }
}
