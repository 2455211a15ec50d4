//! Objects as upstream's internal Go structs print as JSON.
//!
//! Some messages quote a value in the form of upstream's internal types: exported Go names, in the order of
//! declaration, nothing left out. The table here holds the types that such messages can show.

use std::fmt::Write;

use ferrule_apimachinery::schema::Schema;
use serde_json::Value;

use super::tree::Tree;

/// How a field is printed when it is absent, and what is inside when it is present.
enum Shape<'a> {
    Text,
    Number,
    Truth,
    /// Pointers, maps, and values with a JSON form of their own.
    Plain,
    List(&'a str),
    Struct(&'a str),
    Pointer(&'a str),
}

/// `Type: Field:shape …`. Shapes: `s` text, `n` number, `b` truth, `p` pointer or map, `[T]` list, `T` struct, `*T` pointer to
/// struct. `Field=json` gives the field's name in JSON where it is not the usual one, `Field@path` its place in the tree.
const TYPES: &str = "
PodSpec: Volumes:[Volume] InitContainers:[Container] Containers:[Container] EphemeralContainers:[EphemeralContainer] RestartPolicy:s TerminationGracePeriodSeconds:p ActiveDeadlineSeconds:p DNSPolicy:s NodeSelector:p ServiceAccountName:s AutomountServiceAccountToken:p NodeName:s SecurityContext:*PodSecurityContext ImagePullSecrets:[LocalObjectReference] Hostname:s Subdomain:s SetHostnameAsFQDN:p Affinity:*Affinity SchedulerName:s Tolerations:[Toleration] HostAliases:[HostAlias] PriorityClassName:s Priority:p PreemptionPolicy:p DNSConfig:*PodDNSConfig ReadinessGates:[PodReadinessGate] RuntimeClassName:p Overhead:p EnableServiceLinks:p TopologySpreadConstraints:[TopologySpreadConstraint] OS:*PodOS SchedulingGates:[PodSchedulingGate] ResourceClaims:[PodResourceClaim] Resources:*ResourceRequirements HostnameOverride:p SchedulingGroup:p
PodSecurityContext: HostNetwork:b HostPID:b HostIPC:b ShareProcessNamespace:p HostUsers:p SELinuxOptions:*SELinuxOptions WindowsOptions:*WindowsSecurityContextOptions RunAsUser:p RunAsGroup:p RunAsNonRoot:p SupplementalGroups:[] SupplementalGroupsPolicy:p FSGroup:p FSGroupChangePolicy:p Sysctls:[Sysctl] SeccompProfile:*SeccompProfile AppArmorProfile:*AppArmorProfile SELinuxChangePolicy:p
SELinuxOptions: User:s Role:s Type:s Level:s
WindowsSecurityContextOptions: GMSACredentialSpecName:p GMSACredentialSpec:p RunAsUserName:p HostProcess:p
Sysctl: Name:s Value:s
SeccompProfile: Type:s LocalhostProfile:p
AppArmorProfile: Type:s LocalhostProfile:p
LocalObjectReference: Name:s
Container: Name:s Image:s Command:[] Args:[] WorkingDir:s Ports:[ContainerPort] EnvFrom:[EnvFromSource] Env:[EnvVar] Resources:ResourceRequirements ResizePolicy:[ContainerResizePolicy] RestartPolicy:p RestartPolicyRules:[ContainerRestartRule] VolumeMounts:[VolumeMount] VolumeDevices:[VolumeDevice] LivenessProbe:*Probe ReadinessProbe:*Probe StartupProbe:*Probe Lifecycle:*Lifecycle TerminationMessagePath:s TerminationMessagePolicy:s ImagePullPolicy:s SecurityContext:*SecurityContext Stdin:b StdinOnce:b TTY:b
EphemeralContainer: Name:s Image:s Command:[] Args:[] WorkingDir:s Ports:[ContainerPort] EnvFrom:[EnvFromSource] Env:[EnvVar] Resources:ResourceRequirements ResizePolicy:[ContainerResizePolicy] RestartPolicy:p RestartPolicyRules:[ContainerRestartRule] VolumeMounts:[VolumeMount] VolumeDevices:[VolumeDevice] LivenessProbe:*Probe ReadinessProbe:*Probe StartupProbe:*Probe Lifecycle:*Lifecycle TerminationMessagePath:s TerminationMessagePolicy:s ImagePullPolicy:s SecurityContext:*SecurityContext Stdin:b StdinOnce:b TTY:b TargetContainerName:s
ContainerPort: Name:s HostPort:n ContainerPort:n Protocol:s HostIP:s
EnvFromSource: Prefix:s ConfigMapRef:*ConfigMapEnvSource SecretRef:*ConfigMapEnvSource
ConfigMapEnvSource: Name:s Optional:p
EnvVar: Name:s Value:s ValueFrom:*EnvVarSource
EnvVarSource: FieldRef:*ObjectFieldSelector ResourceFieldRef:*ResourceFieldSelector ConfigMapKeyRef:*KeySelector SecretKeyRef:*KeySelector FileKeyRef:*FileKeySelector
ObjectFieldSelector: APIVersion:s FieldPath:s
ResourceFieldSelector: ContainerName:s Resource:s Divisor:q
KeySelector: Name:s Key:s Optional:p
FileKeySelector: VolumeName:s Path:s Key:s Optional:p
ResourceRequirements: Limits:p Requests:p Claims:[ResourceClaim]
ResourceClaim: Name:s Request:s
ContainerResizePolicy: ResourceName:s RestartPolicy:s
ContainerRestartRule: Action:s ExitCodes:*ContainerRestartRuleOnExitCodes
ContainerRestartRuleOnExitCodes: Operator:s Values:[]
VolumeMount: Name:s ReadOnly:b RecursiveReadOnly:p MountPath:s SubPath:s MountPropagation:p SubPathExpr:s
VolumeDevice: Name:s DevicePath:s
Probe: Exec:*ExecAction HTTPGet:*HTTPGetAction TCPSocket:*TCPSocketAction GRPC:*GRPCAction InitialDelaySeconds:n TimeoutSeconds:n PeriodSeconds:n SuccessThreshold:n FailureThreshold:n TerminationGracePeriodSeconds:p
ExecAction: Command:[]
HTTPGetAction: Path:s Port:i Host:s Scheme:s HTTPHeaders:[HTTPHeader]
HTTPHeader: Name:s Value:s
TCPSocketAction: Port:i Host:s
GRPCAction: Port:n Service:p
SleepAction: Seconds:n
Lifecycle: PostStart:*LifecycleHandler PreStop:*LifecycleHandler StopSignal:p
LifecycleHandler: Exec:*ExecAction HTTPGet:*HTTPGetAction TCPSocket:*TCPSocketAction Sleep:*SleepAction
SecurityContext: Capabilities:*Capabilities Privileged:p SELinuxOptions:*SELinuxOptions WindowsOptions:*WindowsSecurityContextOptions RunAsUser:p RunAsGroup:p RunAsNonRoot:p ReadOnlyRootFilesystem:p AllowPrivilegeEscalation:p ProcMount:p SeccompProfile:*SeccompProfile AppArmorProfile:*AppArmorProfile
Capabilities: Add:[] Drop:[]
Affinity: NodeAffinity:*NodeAffinity PodAffinity:*PodAffinity PodAntiAffinity:*PodAffinity
NodeAffinity: RequiredDuringSchedulingIgnoredDuringExecution:*NodeSelector PreferredDuringSchedulingIgnoredDuringExecution:[PreferredSchedulingTerm]
NodeSelector: NodeSelectorTerms:[NodeSelectorTerm]
NodeSelectorTerm: MatchExpressions:[NodeSelectorRequirement] MatchFields:[NodeSelectorRequirement]
NodeSelectorRequirement: Key:s Operator:s Values:[]
PreferredSchedulingTerm: Weight:n Preference:NodeSelectorTerm
PodAffinity: RequiredDuringSchedulingIgnoredDuringExecution:[PodAffinityTerm] PreferredDuringSchedulingIgnoredDuringExecution:[WeightedPodAffinityTerm]
PodAffinityTerm: LabelSelector:l Namespaces:[] TopologyKey:s NamespaceSelector:l MatchLabelKeys:[] MismatchLabelKeys:[]
WeightedPodAffinityTerm: Weight:n PodAffinityTerm:PodAffinityTerm
Toleration: Key:s Operator:s Value:s Effect:s TolerationSeconds:p
HostAlias: IP:s Hostnames:[]
PodDNSConfig: Nameservers:[] Searches:[] Options:[PodDNSConfigOption]
PodDNSConfigOption: Name:s Value:p
PodReadinessGate: ConditionType:s
TopologySpreadConstraint: MaxSkew:n TopologyKey:s WhenUnsatisfiable:s LabelSelector:l MinDomains:p NodeAffinityPolicy:p NodeTaintsPolicy:p MatchLabelKeys:[]
PodOS: Name:s
PodSchedulingGate: Name:s
PodResourceClaim: Name:s ResourceClaimName:p ResourceClaimTemplateName:p
Volume: Name:s HostPath:*HostPathVolumeSource EmptyDir:*EmptyDirVolumeSource GCEPersistentDisk:p AWSElasticBlockStore:p GitRepo:p Secret:*SecretVolumeSource NFS:*NFSVolumeSource ISCSI:p Glusterfs:p PersistentVolumeClaim:*PersistentVolumeClaimVolumeSource RBD:p Quobyte:p FlexVolume:p Cinder:p CephFS=cephfs:p Flocker:p DownwardAPI:*DownwardAPIVolumeSource FC:p AzureFile:p ConfigMap:*ConfigMapVolumeSource VsphereVolume:p AzureDisk:p PhotonPersistentDisk:p Projected:*ProjectedVolumeSource PortworxVolume:p ScaleIO:p StorageOS=storageos:p CSI:*CSIVolumeSource Ephemeral:p Image:*ImageVolumeSource
HostPathVolumeSource: Path:s Type:p
EmptyDirVolumeSource: Medium:s SizeLimit:p
SecretVolumeSource: SecretName:s Items:[KeyToPath] DefaultMode:p Optional:p
ConfigMapVolumeSource: Name:s Items:[KeyToPath] DefaultMode:p Optional:p
KeyToPath: Key:s Path:s Mode:p
NFSVolumeSource: Server:s Path:s ReadOnly:b
PersistentVolumeClaimVolumeSource: ClaimName:s ReadOnly:b
DownwardAPIVolumeSource: Items:[DownwardAPIVolumeFile] DefaultMode:p
DownwardAPIVolumeFile: Path:s FieldRef:*ObjectFieldSelector ResourceFieldRef:*ResourceFieldSelector Mode:p
ProjectedVolumeSource: Sources:[VolumeProjection] DefaultMode:p
VolumeProjection: Secret:*SecretProjection DownwardAPI:*DownwardAPIProjection ConfigMap:*SecretProjection ServiceAccountToken:*ServiceAccountTokenProjection ClusterTrustBundle:p PodCertificate:p
SecretProjection: Name:s Items:[KeyToPath] Optional:p
DownwardAPIProjection: Items:[DownwardAPIVolumeFile]
ServiceAccountTokenProjection: Audience:s ExpirationSeconds:n Path:s
CSIVolumeSource: Driver:s ReadOnly:p FSType:p VolumeAttributes:p NodePublishSecretRef:*LocalObjectReference
ImageVolumeSource: Reference:s PullPolicy:s
ServicePort: Name:s Protocol:s AppProtocol:p Port:n TargetPort:i NodePort:n
Taint: Key:s Value:s Effect:s TimeAdded:p
NodeAddress: Type:s Address:s
PodIP: IP:s
HostIP: IP:s
DeploymentStrategy: Type:s RollingUpdate:*RollingUpdateDeployment
RollingUpdateDeployment: MaxUnavailable:i MaxSurge:i
StatefulSetUpdateStrategy: Type:s RollingUpdate:*RollingUpdateStatefulSetStrategy
RollingUpdateStatefulSetStrategy: Partition:n MaxUnavailable:p
DaemonSetUpdateStrategy: Type:s RollingUpdate:*RollingUpdateDaemonSet
RollingUpdateDaemonSet: MaxUnavailable:i MaxSurge:i
PodFailurePolicy: Rules:[PodFailurePolicyRule]
PodFailurePolicyRule: Action:s OnExitCodes:*PodFailurePolicyOnExitCodesRequirement OnPodConditions:[PodFailurePolicyOnPodConditionsPattern]
PodFailurePolicyOnExitCodesRequirement: ContainerName:p Operator:s Values:[]
PodFailurePolicyOnPodConditionsPattern: Type:s Status:s
SuccessPolicy: Rules:[SuccessPolicyRule]
SuccessPolicyRule: SucceededIndexes:p SucceededCount:p
PodDisruptionBudgetSpec: MinAvailable:p Selector:l MaxUnavailable:p UnhealthyPodEvictionPolicy:p
";

fn fields_of(name: &str) -> Option<&'static str> {
    TYPES
        .lines()
        .chain(super::go_types::ROWS.lines())
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// Lower-cases the initialism or letter that a Go name begins with, as the names in JSON are made.
fn json_name(go: &str) -> String {
    let upper = go.bytes().take_while(u8::is_ascii_uppercase).count();
    let lowered = match upper {
        0 | 1 => upper,
        _ if upper == go.len() => upper,
        _ => upper - 1,
    };
    go[..lowered].to_ascii_lowercase() + &go[lowered..]
}

/// Prints a tree as the internal struct of that name, on one line.
pub fn compact(name: &str, value: &Value) -> String {
    let mut out = Printer {
        text: String::new(),
        indented: false,
    };
    out.structure(name, value, 0);
    out.text
}

/// Prints a tree as the internal struct of that name, indented by one blank a level.
pub fn indented(name: &str, value: &Value) -> String {
    let mut out = Printer {
        text: String::new(),
        indented: true,
    };
    out.structure(name, value, 0);
    out.text
}

/// A pod's specification with the fields where the internal types have them.
pub fn internal_pod_spec(spec: &Value) -> Value {
    let mut spec = spec.clone();
    if let Some(fields) = spec.as_object_mut() {
        let moved = [
            "hostNetwork",
            "hostPID",
            "hostIPC",
            "shareProcessNamespace",
            "hostUsers",
        ];
        let moved: Vec<_> = moved
            .iter()
            .filter_map(|name| Some((*name, fields.remove(*name)?)))
            .collect();
        let context = fields.entry("securityContext").or_insert(Value::Null);
        if !moved.is_empty() && context.is_null() {
            *context = Value::Object(Default::default());
        }
        if let Some(context) = context.as_object_mut() {
            context.extend(
                moved
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value)),
            );
        }
    }
    spec
}

/// A template of pods on one line: its metadata has the names of JSON, its specification those of Go.
pub fn pod_template(template: &Value) -> String {
    let schema = Schema::builtin();
    let metadata = match schema.type_id("meta/v1.ObjectMeta") {
        Some(id) => schema.to_declared_json(template.at("metadata"), id),
        None => template.at("metadata").to_string(),
    };
    let inner = metadata
        .strip_prefix('{')
        .and_then(|text| text.strip_suffix('}'));
    let spec = compact("PodSpec", &internal_pod_spec(template.at("spec")));
    match inner {
        None | Some("") => format!("{{\"Spec\":{spec}}}"),
        Some(inner) => format!("{{{inner},\"Spec\":{spec}}}"),
    }
}

/// A meta/v1 LabelSelector, which has JSON names and leaves out what is empty.
pub fn label_selector(selector: &Value) -> String {
    if selector.is_null() {
        return "null".to_owned();
    }
    let mut parts = Vec::new();
    if selector.entries("matchLabels").next().is_some() {
        parts.push(format!("\"matchLabels\":{}", selector.at("matchLabels")));
    }
    if !selector.items("matchExpressions").is_empty() {
        let expressions: Vec<String> = selector
            .items("matchExpressions")
            .iter()
            .map(|expression| {
                let (key, operator) = (
                    Value::from(expression.text("key")),
                    Value::from(expression.text("operator")),
                );
                let values = match expression.items("values") {
                    [] => String::new(),
                    _ => format!(",\"values\":{}", expression.at("values")),
                };
                format!("{{\"key\":{key},\"operator\":{operator}{values}}}")
            })
            .collect();
        parts.push(format!("\"matchExpressions\":[{}]", expressions.join(",")));
    }
    format!("{{{}}}", parts.join(","))
}

struct Printer {
    text: String,
    indented: bool,
}

impl Printer {
    fn line(&mut self, depth: usize) {
        if self.indented {
            self.text.push('\n');
            self.text.extend(std::iter::repeat_n(' ', depth));
        }
    }

    fn structure(&mut self, name: &str, value: &Value, depth: usize) {
        let Some(fields) = fields_of(name) else {
            return self.plain(value, depth);
        };
        self.text.push('{');
        for (position, field) in fields.split(' ').enumerate() {
            let (names, shape) = field.split_once(':').unwrap_or((field, "p"));
            let (go, json) = match names.split_once('=') {
                Some((go, json)) => (go, json.to_owned()),
                None => (names, json_name(names)),
            };
            if position > 0 {
                self.text.push(',');
            }
            self.line(depth + 1);
            let colon = if self.indented { ": " } else { ":" };
            let _ = write!(self.text, "\"{go}\"{colon}");
            self.field(shape, value.at(&json), depth + 1);
        }
        self.line(depth);
        self.text.push('}');
    }

    fn field(&mut self, shape: &str, value: &Value, depth: usize) {
        let shape = match shape {
            "s" => Shape::Text,
            "n" | "i" => Shape::Number,
            "b" => Shape::Truth,
            "p" => Shape::Plain,
            "q" if value.is_null() => return self.text.push_str("\"0\""),
            "q" => Shape::Plain,
            "l" if value.is_null() => Shape::Plain,
            "l" => return self.selector(value, depth),
            _ if shape.starts_with('[') => Shape::List(&shape[1..shape.len() - 1]),
            _ if shape.starts_with('*') => Shape::Pointer(&shape[1..]),
            _ => Shape::Struct(shape),
        };
        match shape {
            Shape::Text if value.is_null() => self.text.push_str("\"\""),
            Shape::Number if value.is_null() => self.text.push('0'),
            Shape::Truth if value.is_null() => self.text.push_str("false"),
            Shape::Struct(name) => self.structure(name, value, depth),
            Shape::Pointer(name) if !value.is_null() => self.structure(name, value, depth),
            Shape::List(name)
                if !name.is_empty() && value.as_array().is_some_and(|items| !items.is_empty()) =>
            {
                self.list(value, depth, |out, item, depth| {
                    out.structure(name, item, depth)
                });
            }
            Shape::List(_) if value.as_array().is_some_and(Vec::is_empty) => {
                self.text.push_str("null")
            }
            _ => self.plain(value, depth),
        }
    }

    fn selector(&mut self, selector: &Value, depth: usize) {
        let text = label_selector(selector);
        if !self.indented {
            return self.text.push_str(&text);
        }
        // The order of the keys is the printed one, which a parsed tree would lose: labels come before expressions.
        self.text.push('{');
        let mut first = true;
        for name in ["matchLabels", "matchExpressions"] {
            let value = selector.at(name);
            if super::tree::is_unset(value) {
                continue;
            }
            if !std::mem::take(&mut first) {
                self.text.push(',');
            }
            self.line(depth + 1);
            let _ = write!(self.text, "\"{name}\": ");
            self.plain(value, depth + 1);
        }
        if !first {
            self.line(depth);
        }
        self.text.push('}');
    }

    fn list(
        &mut self,
        value: &Value,
        depth: usize,
        mut item: impl FnMut(&mut Self, &Value, usize),
    ) {
        self.text.push('[');
        for (position, entry) in value.as_array().into_iter().flatten().enumerate() {
            if position > 0 {
                self.text.push(',');
            }
            self.line(depth + 1);
            item(self, entry, depth + 1);
        }
        self.line(depth);
        self.text.push(']');
    }

    fn plain(&mut self, value: &Value, depth: usize) {
        match value {
            Value::Array(items) if !items.is_empty() => {
                self.list(value, depth, |out, item, depth| out.plain(item, depth));
            }
            Value::Object(fields) if !fields.is_empty() => {
                self.text.push('{');
                for (position, (key, value)) in fields.iter().enumerate() {
                    if position > 0 {
                        self.text.push(',');
                    }
                    self.line(depth + 1);
                    let colon = if self.indented { ": " } else { ":" };
                    let _ = write!(self.text, "{}{colon}", Value::from(key.as_str()));
                    self.plain(value, depth + 1);
                }
                self.line(depth);
                self.text.push('}');
            }
            other => {
                let _ = write!(self.text, "{other}");
            }
        }
    }
}
