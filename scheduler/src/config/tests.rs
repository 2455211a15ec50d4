use super::*;
use crate::profile::Points;

fn file(rest: &str) -> String {
    format!("apiVersion: {API_VERSION}\nkind: {KIND}\n{rest}")
}

fn errors(rest: &str) -> Vec<String> {
    match read(&file(rest)) {
        Ok(_) => Vec::new(),
        Err(ConfigurationError::Fields(errors)) => errors.iter().map(ToString::to_string).collect(),
        Err(other) => vec![other.to_string()],
    }
}

#[test]
fn the_default_profile_is_upstreams() {
    let points = points_by_default();
    let filters = [
        "NodeUnschedulable",
        "NodeName",
        "TaintToleration",
        "NodeAffinity",
        "NodePorts",
        "NodeResourcesFit",
        "VolumeRestrictions",
        "NodeVolumeLimits",
        "VolumeBinding",
        "VolumeZone",
        "PodTopologySpread",
        "InterPodAffinity",
        "DynamicResources",
        "NodeDeclaredFeatures",
    ];
    assert_eq!(points.filters, filters);
    let weights = [
        ("TaintToleration", 3),
        ("NodeAffinity", 2),
        ("NodeResourcesFit", 1),
        ("VolumeBinding", 1),
        ("PodTopologySpread", 2),
        ("InterPodAffinity", 2),
        ("NodeResourcesBalancedAllocation", 1),
        ("ImageLocality", 1),
    ];
    let weights: Vec<(String, i64)> = weights
        .iter()
        .map(|(name, weight)| ((*name).to_owned(), *weight))
        .collect();
    assert_eq!(points.scores, weights);
    assert_eq!(
        points.post_filters,
        ["DynamicResources", "DefaultPreemption"]
    );
}

fn points(plugins: &str) -> Points {
    let mut errors = Vec::new();
    let document = ferrule_apimachinery::yaml::read(plugins).unwrap().remove(0);
    let mut fields = Fields::new(&document, Path::root(), &mut errors);
    let points = points::read(&mut fields);
    fields.end();
    assert_eq!(errors, []);
    points
}

#[test]
fn plugins_are_enabled_and_disabled_for_one_point_or_all() {
    let weight = |points: &Points, name: &str| {
        let mut scores = points.scores.iter();
        scores
            .find(|(own, _)| own == name)
            .map(|(_, weight)| *weight)
    };
    let set = points(
        "plugins: {score: {disabled: [{name: NodeResourcesFit}], enabled: [{name: ImageLocality, weight: 7}]}}",
    );
    assert_eq!(weight(&set, "NodeResourcesFit"), None);
    assert!(set.filters.contains(&"NodeResourcesFit".to_owned()));
    assert_eq!(set.scores[0], ("ImageLocality".to_owned(), 7));
    assert_eq!(weight(&set, "TaintToleration"), Some(3));

    let set = points(
        "plugins: {multiPoint: {disabled: [{name: InterPodAffinity}], enabled: [{name: NodeAffinity, weight: 9}]}}",
    );
    assert!(!set.filters.contains(&"InterPodAffinity".to_owned()));
    assert_eq!(weight(&set, "InterPodAffinity"), None);
    assert_eq!(weight(&set, "NodeAffinity"), Some(9));

    let set =
        points("plugins: {score: {disabled: [{name: '*'}], enabled: [{name: NodeResourcesFit}]}}");
    assert_eq!(set.scores, [("NodeResourcesFit".to_owned(), 1)]);

    let set =
        points("plugins: {multiPoint: {disabled: [{name: '*'}], enabled: [{name: NodeName}]}}");
    assert_eq!(set.filters, ["NodeName"]);
    assert_eq!(set.scores, []);
    assert_eq!(set.post_filters, Vec::<String>::new());
}

#[test]
fn several_profiles_have_names_percentages_and_arguments_of_their_own() {
    let configuration = read(&file(
        "percentageOfNodesToScore: 30\npodInitialBackoffSeconds: 2\npodMaxBackoffSeconds: 20\n\
         leaderElection: {leaderElect: false, leaseDuration: 1m30s}\n\
         profiles:\n\
         - schedulerName: default-scheduler\n\
         - schedulerName: packer\n  percentageOfNodesToScore: 60\n  \
           plugins: {postFilter: {disabled: [{name: DefaultPreemption}]}}\n  \
           pluginConfig:\n  - name: NodeResourcesFit\n    \
             args: {scoringStrategy: {type: MostAllocated, resources: [{name: cpu, weight: 3}]}}\n",
    ))
    .unwrap_or_else(|error| panic!("{error}"));
    let [first, second] = configuration.profiles.as_slice() else {
        panic!("there are {} profiles", configuration.profiles.len());
    };
    assert_eq!(first.scheduler_name, "default-scheduler");
    assert_eq!(first.percentage_of_nodes_to_score, 30);
    assert!(first.preemption.is_some());
    assert_eq!(second.scheduler_name, "packer");
    assert_eq!(second.percentage_of_nodes_to_score, 60);
    assert!(second.preemption.is_none());
    assert_eq!(configuration.first_backoff, Duration::from_secs(2));
    assert_eq!(configuration.longest_backoff, Duration::from_secs(20));
    assert_eq!(configuration.leader_elect, Some(false));
    assert_eq!(configuration.lease_duration, Some(Duration::from_secs(90)));
}

#[test]
fn an_error_names_its_field() {
    let cases = [
        ("", vec![]),
        (
            "percentageOfNodesToScore: 101",
            vec!["percentageOfNodesToScore: Invalid value: 101: not in valid range [0-100]"],
        ),
        (
            "parallelism: 0",
            vec!["parallelism: Invalid value: 0: should be an integer value greater than zero"],
        ),
        (
            "podInitialBackoffSeconds: 5\npodMaxBackoffSeconds: 2",
            vec![
                "podMaxBackoffSeconds: Invalid value: 2: must be greater than or equal to PodInitialBackoffSeconds",
            ],
        ),
        ("colour: blue", vec!["colour: Forbidden: unknown field"]),
        (
            "profiles: [{schedulerName: a}, {}]",
            vec!["profiles[1].schedulerName: Required value"],
        ),
        (
            "profiles: [{schedulerName: a}, {schedulerName: a}]",
            vec!["profiles[1].schedulerName: Duplicate value: \"profiles[0].schedulerName\""],
        ),
        (
            "profiles: [{percentageOfNodesToScore: -1}]",
            vec![
                "profiles[0].percentageOfNodesToScore: Invalid value: -1: not in valid range [0-100]",
            ],
        ),
        (
            "profiles: [{plugins: {filter: {enabled: [{name: Nobody}]}}}]",
            vec![
                "profiles[0].plugins.filter.enabled[0].name: Invalid value: \"Nobody\": plugin does not exist",
            ],
        ),
        (
            "profiles: [{plugins: {filter: {enabled: [{name: ImageLocality}]}}}]",
            vec![
                "profiles[0].plugins.filter.enabled[0].name: Invalid value: \"ImageLocality\": plugin does not extend filter",
            ],
        ),
        (
            "profiles: [{plugins: {filters: {}}}]",
            vec!["profiles[0].plugins.filters: Forbidden: unknown field"],
        ),
        (
            "profiles: [{pluginConfig: [{name: InterPodAffinity, args: {hardPodAffinityWeight: 101}}]}]",
            vec![
                "profiles[0].pluginConfig[0].args.hardPodAffinityWeight: Invalid value: 101: not in valid range [0, 100]",
            ],
        ),
        (
            "profiles: [{pluginConfig: [{name: NodeResourcesFit, args: {scoringStrategy: {type: Best}}}]}]",
            vec![
                "profiles[0].pluginConfig[0].args.scoringStrategy.type: Unsupported value: \"Best\": supported values: \"LeastAllocated\", \"MostAllocated\", \"RequestedToCapacityRatio\"",
            ],
        ),
        (
            "profiles: [{pluginConfig: [{name: NodeResourcesFit, args: {scoringStrategy: {type: RequestedToCapacityRatio}}}]}]",
            vec![
                "profiles[0].pluginConfig[0].args.scoringStrategy.requestedToCapacityRatio: Required value: must be specified when type is RequestedToCapacityRatio",
            ],
        ),
        (
            "profiles: [{pluginConfig: [{name: NodeResourcesBalancedAllocation, args: {resources: [{name: cpu, weight: 2}]}}]}]",
            vec![
                "profiles[0].pluginConfig[0].args.resources[0].weight: Invalid value: 2: must be 1",
            ],
        ),
        (
            "profiles: [{pluginConfig: [{name: PodTopologySpread, args: {defaultingType: List, defaultConstraints: [{maxSkew: 0, topologyKey: zone, whenUnsatisfiable: Never}]}}]}]",
            vec![
                "profiles[0].pluginConfig[0].args.defaultConstraints[0].maxSkew: Invalid value: 0: not in valid range (0, inf)",
                "profiles[0].pluginConfig[0].args.defaultConstraints[0].whenUnsatisfiable: Unsupported value: \"Never\": supported values: \"DoNotSchedule\", \"ScheduleAnyway\"",
            ],
        ),
        (
            "profiles: [{pluginConfig: [{name: DefaultPreemption, args: {minCandidateNodesPercentage: 101}}]}]",
            vec![
                "profiles[0].pluginConfig[0].args.minCandidateNodesPercentage: Invalid value: 101: not in valid range [0, 100]",
            ],
        ),
        (
            "profiles: [{pluginConfig: [{name: NodeName}]}]",
            vec!["profiles[0].pluginConfig[0].name: Invalid value: \"NodeName\": has no arguments"],
        ),
        (
            "extenders: [{urlPrefix: x}]",
            vec!["extenders: Forbidden: extenders are not supported"],
        ),
    ];
    for (rest, expected) in cases {
        assert_eq!(errors(rest), expected, "{rest}");
    }
    let other =
        "apiVersion: kubescheduler.config.k8s.io/v1beta3\nkind: KubeSchedulerConfiguration\n";
    let error = read(other).err().map(|error| error.to_string());
    assert_eq!(
        error.as_deref(),
        Some(
            "no kind \"KubeSchedulerConfiguration\" is registered for version \"kubescheduler.config.k8s.io/v1beta3\""
        )
    );
    assert!(is_configuration(other));
    assert!(!is_configuration("secure-port: 10259\n"));
}
