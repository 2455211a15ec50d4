//! What documents say of types beyond the table: which texts are closed sets of values.

/// Named text types whose declared values are all there are. The rest is open: condition types,
/// names of resources, and what feature gates add to.
const CLOSED: &[(&str, &[&str])] = &[
    (
        "core/v1",
        &[
            "AppArmorProfileType",
            "AzureDataDiskCachingMode",
            "AzureDataDiskKind",
            "ContainerRestartRuleAction",
            "ContainerRestartRuleOnExitCodesOperator",
            "DNSPolicy",
            "HostPathType",
            "IPFamily",
            "IPFamilyPolicy",
            "MountPropagationMode",
            "NamespacePhase",
            "NodeInclusionPolicy",
            "NodePhase",
            "NodeSelectorOperator",
            "PersistentVolumeAccessMode",
            "PersistentVolumeClaimPhase",
            "PersistentVolumeMode",
            "PersistentVolumePhase",
            "PersistentVolumeReclaimPolicy",
            "PodFSGroupChangePolicy",
            "PodPhase",
            "PodQOSClass",
            "PodSELinuxChangePolicy",
            "PreemptionPolicy",
            "ProcMountType",
            "Protocol",
            "PullPolicy",
            "ResourceQuotaScope",
            "RestartPolicy",
            "ScopeSelectorOperator",
            "SeccompProfileType",
            "ServiceAffinity",
            "ServiceExternalTrafficPolicy",
            "ServiceInternalTrafficPolicy",
            "ServiceType",
            "Signal",
            "SupplementalGroupsPolicy",
            "TaintEffect",
            "TerminationMessagePolicy",
            "TolerationOperator",
            "URIScheme",
            "UnsatisfiableConstraintAction",
        ],
    ),
    (
        "apps/v1",
        &[
            "DaemonSetUpdateStrategyType",
            "DeploymentStrategyType",
            "PodManagementPolicyType",
            "StatefulSetUpdateStrategyType",
        ],
    ),
    (
        "batch/v1",
        &[
            "CompletionMode",
            "ConcurrencyPolicy",
            "PodFailurePolicyAction",
            "PodFailurePolicyOnExitCodesOperator",
            "PodReplacementPolicy",
        ],
    ),
    ("policy/v1", &["UnhealthyPodEvictionPolicyType"]),
    ("networking.k8s.io/v1", &["PolicyType"]),
    ("storage.k8s.io/v1", &["VolumeBindingMode"]),
    (
        "admissionregistration.k8s.io/v1",
        &[
            "FailurePolicyType",
            "MatchPolicyType",
            "OperationType",
            "ParameterNotFoundActionType",
            "PatchType",
            "ReinvocationPolicyType",
            "ScopeType",
            "SideEffectClass",
            "ValidationAction",
        ],
    ),
    (
        "flowcontrol.apiserver.k8s.io/v1",
        &["LimitResponseType", "PriorityLevelEnablement"],
    ),
];

/// Whether the declared values of a text type are all that it may have.
pub(super) fn is_closed(api_version: &str, name: &str) -> bool {
    let group = CLOSED.iter().find(|(own, _)| *own == api_version);
    group.is_some_and(|(_, names)| names.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrule_apimachinery::schema::Schema;

    #[test]
    fn every_listed_name_is_in_the_table() {
        let schema = Schema::builtin();
        for (api_version, names) in CLOSED {
            for name in *names {
                let known = schema.declared_values(&format!("{api_version}.{name}"));
                assert!(known.is_some_and(|own| !own.values.is_empty()), "{name}");
            }
        }
    }
}
