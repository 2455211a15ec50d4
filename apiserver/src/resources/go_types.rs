//! More rows for the table of [`super::go_form`]: volumes, claims, roles and reviews.

/// Rows in the form that `go_form` reads.
pub const ROWS: &str = "
PersistentVolumeSource: GCEPersistentDisk:*GCEPersistentDiskVolumeSource AWSElasticBlockStore:*AWSElasticBlockStoreVolumeSource HostPath:*HostPathVolumeSource Glusterfs:*GlusterfsPersistentVolumeSource NFS:*NFSVolumeSource RBD:*RBDPersistentVolumeSource Quobyte:*QuobyteVolumeSource ISCSI:*ISCSIPersistentVolumeSource FlexVolume:*FlexPersistentVolumeSource Cinder:*CinderPersistentVolumeSource CephFS=cephfs:*CephFSPersistentVolumeSource FC:*FCVolumeSource Flocker:*FlockerVolumeSource AzureFile:*AzureFilePersistentVolumeSource VsphereVolume:*VsphereVirtualDiskVolumeSource AzureDisk:*AzureDiskVolumeSource PhotonPersistentDisk:*PhotonPersistentDiskVolumeSource PortworxVolume:*PortworxVolumeSource ScaleIO:*ScaleIOPersistentVolumeSource Local:*LocalVolumeSource StorageOS=storageos:*StorageOSPersistentVolumeSource CSI:*CSIPersistentVolumeSource
PersistentVolumeSpec: Capacity:p GCEPersistentDisk:*GCEPersistentDiskVolumeSource AWSElasticBlockStore:*AWSElasticBlockStoreVolumeSource HostPath:*HostPathVolumeSource Glusterfs:*GlusterfsPersistentVolumeSource NFS:*NFSVolumeSource RBD:*RBDPersistentVolumeSource Quobyte:*QuobyteVolumeSource ISCSI:*ISCSIPersistentVolumeSource FlexVolume:*FlexPersistentVolumeSource Cinder:*CinderPersistentVolumeSource CephFS=cephfs:*CephFSPersistentVolumeSource FC:*FCVolumeSource Flocker:*FlockerVolumeSource AzureFile:*AzureFilePersistentVolumeSource VsphereVolume:*VsphereVirtualDiskVolumeSource AzureDisk:*AzureDiskVolumeSource PhotonPersistentDisk:*PhotonPersistentDiskVolumeSource PortworxVolume:*PortworxVolumeSource ScaleIO:*ScaleIOPersistentVolumeSource Local:*LocalVolumeSource StorageOS=storageos:*StorageOSPersistentVolumeSource CSI:*CSIPersistentVolumeSource AccessModes:[] ClaimRef:*ObjectReference PersistentVolumeReclaimPolicy:s StorageClassName:s MountOptions:[] VolumeMode:p NodeAffinity:*VolumeNodeAffinity VolumeAttributesClassName:p
GCEPersistentDiskVolumeSource: PDName:s FSType:s Partition:n ReadOnly:b
AWSElasticBlockStoreVolumeSource: VolumeID:s FSType:s Partition:n ReadOnly:b
GlusterfsPersistentVolumeSource: EndpointsName=endpoints:s Path:s ReadOnly:b EndpointsNamespace:p
RBDPersistentVolumeSource: CephMonitors=monitors:[] RBDImage=image:s FSType:s RBDPool=pool:s RadosUser=user:s Keyring:s SecretRef:*SecretReference ReadOnly:b
QuobyteVolumeSource: Registry:s Volume:s ReadOnly:b User:s Group:s Tenant:s
ISCSIPersistentVolumeSource: TargetPortal:s IQN:s Lun:n ISCSIInterface=iscsiInterface:s FSType:s ReadOnly:b Portals:[] DiscoveryCHAPAuth=chapAuthDiscovery:b SessionCHAPAuth=chapAuthSession:b SecretRef:*SecretReference InitiatorName:p
FlexPersistentVolumeSource: Driver:s FSType:s SecretRef:*SecretReference ReadOnly:b Options:p
CinderPersistentVolumeSource: VolumeID:s FSType:s ReadOnly:b SecretRef:*SecretReference
CephFSPersistentVolumeSource: Monitors:[] Path:s User:s SecretFile:s SecretRef:*SecretReference ReadOnly:b
FCVolumeSource: TargetWWNs:[] Lun:p FSType:s ReadOnly:b WWIDs=wwids:[]
FlockerVolumeSource: DatasetName:s DatasetUUID:s
AzureFilePersistentVolumeSource: SecretName:s ShareName:s ReadOnly:b SecretNamespace:p
VsphereVirtualDiskVolumeSource: VolumePath:s FSType:s StoragePolicyName:s StoragePolicyID:s
AzureDiskVolumeSource: DiskName:s DataDiskURI=diskURI:s CachingMode:p FSType:p ReadOnly:p Kind:p
PhotonPersistentDiskVolumeSource: PdID:s FSType:s
PortworxVolumeSource: VolumeID:s FSType:s ReadOnly:b
ScaleIOPersistentVolumeSource: Gateway:s System:s SecretRef:*SecretReference SSLEnabled:b ProtectionDomain:s StoragePool:s StorageMode:s VolumeName:s FSType:s ReadOnly:b
LocalVolumeSource: Path:s FSType:p
StorageOSPersistentVolumeSource: VolumeName:s VolumeNamespace:s FSType:s ReadOnly:b SecretRef:*ObjectReference
CSIPersistentVolumeSource: Driver:s VolumeHandle:s ReadOnly:b FSType:s VolumeAttributes:p ControllerPublishSecretRef:*SecretReference NodeStageSecretRef:*SecretReference NodePublishSecretRef:*SecretReference ControllerExpandSecretRef:*SecretReference NodeExpandSecretRef:*SecretReference
SecretReference: Name:s Namespace:s
ObjectReference: Kind:s Namespace:s Name:s UID:s APIVersion:s ResourceVersion:s FieldPath:s
VolumeNodeAffinity: Required:*NodeSelector
PersistentVolumeClaimSpec: AccessModes:[] Selector:l Resources:VolumeResourceRequirements VolumeName:s StorageClassName:p VolumeMode:p DataSource:*TypedLocalObjectReference DataSourceRef:*TypedObjectReference VolumeAttributesClassName:p
VolumeResourceRequirements: Limits:p Requests:p
TypedLocalObjectReference: APIGroup:p Kind:s Name:s
TypedObjectReference: APIGroup:p Kind:s Name:s Namespace:p
VolumeAttachmentSpec: Attacher:s Source:VolumeAttachmentSource NodeName:s
VolumeAttachmentSource: PersistentVolumeName:p InlineVolumeSpec:*PersistentVolumeSpec
CSINodeDriver: Name:s NodeID:s TopologyKeys:[] Allocatable:*VolumeNodeResources
VolumeNodeResources: Count:p
ServiceCIDRSpec: CIDRs=cidrs:[]
RoleRef: APIGroup:s Kind:s Name:s
NonResourceAttributes: Path:s Verb:s
";
