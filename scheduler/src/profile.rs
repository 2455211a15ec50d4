//! A profile: which plugins decide about the pods of one scheduler name, and with which arguments.

use crate::framework::{Needs, NodeFilter, Plugin};
use crate::plugins::balanced_allocation::NodeResourcesBalancedAllocation;
use crate::plugins::image_locality::ImageLocality;
use crate::plugins::inter_pod_affinity::InterPodAffinity;
use crate::plugins::node_affinity::NodeAffinity;
use crate::plugins::node_name::NodeName;
use crate::plugins::node_ports::NodePorts;
use crate::plugins::node_unschedulable::NodeUnschedulable;
use crate::plugins::resources_fit::NodeResourcesFit;
use crate::plugins::scheduling_gates::SchedulingGates;
use crate::plugins::spread::PodTopologySpread;
use crate::plugins::taints::TaintToleration;
use crate::pod::Pod;
use crate::snapshot::Snapshot;

/// The scheduler name of pods that name none.
pub const DEFAULT_SCHEDULER: &str = "default-scheduler";

/// How many nodes are tried when room is made for a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PreemptionArgs {
    /// In percent of the nodes where it may help.
    pub least_percentage: usize,
    /// And never fewer than this.
    pub least_absolute: usize,
}

impl Default for PreemptionArgs {
    fn default() -> Self {
        PreemptionArgs {
            least_percentage: 10,
            least_absolute: 100,
        }
    }
}

/// The arguments of all plugins.
#[derive(Clone, Debug, Default)]
pub struct PluginArgs {
    /// Of `NodeAffinity`.
    pub node_affinity: NodeAffinity,
    /// Of `NodeResourcesFit`.
    pub fit: NodeResourcesFit,
    /// Of `NodeResourcesBalancedAllocation`.
    pub balanced: NodeResourcesBalancedAllocation,
    /// Of `PodTopologySpread`.
    pub spread: PodTopologySpread,
    /// Of `InterPodAffinity`.
    pub inter_pod_affinity: InterPodAffinity,
    /// Of `DefaultPreemption`.
    pub preemption: PreemptionArgs,
}

impl PluginArgs {
    /// A plugin by its name; `None` for those that have nothing to do here.
    pub fn plugin(&self, name: &str) -> Option<Box<dyn Plugin>> {
        Some(match name {
            "SchedulingGates" => Box::new(SchedulingGates),
            "NodeUnschedulable" => Box::new(NodeUnschedulable),
            "NodeName" => Box::new(NodeName),
            "TaintToleration" => Box::new(TaintToleration),
            "NodeAffinity" => Box::new(self.node_affinity.clone()),
            "NodePorts" => Box::new(NodePorts),
            "NodeResourcesFit" => Box::new(self.fit.clone()),
            "PodTopologySpread" => Box::new(self.spread.clone()),
            "InterPodAffinity" => Box::new(self.inter_pod_affinity.clone()),
            "NodeResourcesBalancedAllocation" => Box::new(self.balanced.clone()),
            "ImageLocality" => Box::new(ImageLocality),
            _ => return None,
        })
    }
}

/// The plugins of a profile by point, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Points {
    /// PreEnqueue.
    pub gates: Vec<String>,
    /// Filter.
    pub filters: Vec<String>,
    /// PostFilter.
    pub post_filters: Vec<String>,
    /// Score, with the weights.
    pub scores: Vec<(String, i64)>,
}

/// A profile.
pub struct Profile {
    /// `spec.schedulerName` of its pods.
    pub scheduler_name: String,
    /// Of how many nodes, in percent, the scores are looked at; 0 follows the number of nodes.
    pub percentage_of_nodes_to_score: usize,
    /// How room is made; `None` when it is not.
    pub preemption: Option<PreemptionArgs>,
    /// Whether refusals speak of resource claims, as upstream's plugin for them does.
    pub claims: bool,
    gates: Vec<Box<dyn Plugin>>,
    filters: Vec<Box<dyn Plugin>>,
    scores: Vec<(Box<dyn Plugin>, i64)>,
}

impl Default for Profile {
    fn default() -> Self {
        let points = crate::config::points_by_default();
        Profile::new(DEFAULT_SCHEDULER, 0, &points, &PluginArgs::default())
    }
}

impl Profile {
    /// A profile of these plugins.
    pub fn new(name: &str, percentage: usize, points: &Points, args: &PluginArgs) -> Profile {
        let plugins = |names: &[String]| {
            let known = names.iter().filter_map(|name| args.plugin(name));
            known.collect()
        };
        let has = |name: &str| points.post_filters.iter().any(|own| own == name);
        Profile {
            scheduler_name: name.to_owned(),
            percentage_of_nodes_to_score: percentage,
            preemption: has("DefaultPreemption").then_some(args.preemption),
            claims: has("DynamicResources"),
            gates: plugins(&points.gates),
            filters: plugins(&points.filters),
            scores: points
                .scores
                .iter()
                .filter_map(|(name, weight)| Some((args.plugin(name)?, *weight)))
                .collect(),
        }
    }

    /// Why a pod may not be considered yet: the plugin, and its message.
    pub fn gate(&self, pod: &Pod) -> Option<(&'static str, String)> {
        let mut gates = self.gates.iter();
        gates.find_map(|plugin| Some((plugin.name(), plugin.gate(pod)?)))
    }

    /// The plugins that filter.
    pub fn filters(&self) -> impl Iterator<Item = &dyn Plugin> {
        self.filters.iter().map(|plugin| &**plugin)
    }

    /// Those of them that have something to say of this pod, ready to judge nodes.
    pub fn judges<'a>(&'a self, pod: &'a Pod, snapshot: &'a Snapshot) -> Vec<Judge<'a>> {
        self.filters()
            .filter_map(|plugin| Some((plugin.name(), plugin.filter(pod, snapshot)?)))
            .collect()
    }

    /// The plugins that score, with their weights.
    pub fn scores(&self) -> impl Iterator<Item = (&dyn Plugin, i64)> {
        self.scores
            .iter()
            .map(|(plugin, weight)| (&**plugin, *weight))
    }

    /// What should be counted before a decision about the pod.
    pub fn needs(&self, pod: &Pod, snapshot: &Snapshot) -> Needs {
        let scoring = self.scores().map(|(plugin, _)| plugin);
        let filtering = |name: &str| self.filters().any(|plugin| plugin.name() == name);
        let scoring = scoring.filter(|plugin| !filtering(plugin.name()));
        self.filters()
            .chain(scoring)
            .flat_map(|plugin| plugin.needs(pod, snapshot))
            .collect()
    }
}

/// A plugin's name, and its judge of nodes for one pod.
pub type Judge<'a> = (&'static str, Box<dyn NodeFilter + 'a>);
