//! What each target begins with: the repository's own objects, the recorded conversations with the
//! real Kubernetes where they lie beside it, and inputs made to hurt.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use ferrule_apimachinery::object::meta;
use ferrule_apimachinery::schema::Schema;
use ferrule_apimachinery::scheme::Scheme;
use ferrule_apimachinery::yaml;
use serde_json::{Value, json};

use crate::input;
use crate::server::{objects, path_of, resource_of};
use crate::targets::texts;

/// Inputs by target.
#[derive(Default)]
pub struct Seeds(BTreeMap<&'static str, Vec<Vec<u8>>>);

impl Seeds {
    /// All of them; `oracle` is the folder of recorded conversations, if there is one.
    pub fn all(oracle: Option<&Path>) -> Seeds {
        let mut seeds = Seeds::default();
        for object in objects() {
            seeds.object(&object);
        }
        seeds.ownership();
        seeds.requests();
        seeds.texts();
        seeds.templates();
        seeds.files();
        seeds.images();
        seeds.bombs();
        if let Some(oracle) = oracle {
            seeds.recorded(oracle);
        }
        seeds
    }

    /// By target.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Vec<Vec<u8>>)> {
        self.0.iter().map(|(target, inputs)| (*target, inputs))
    }

    /// Words that inputs are mixed from: one in quotes on each line, as libFuzzer reads them.
    pub fn dictionary() -> String {
        let mut found = BTreeSet::new();
        for object in objects() {
            gather(&object, &mut found);
        }
        found.extend(WORDS.iter().map(|word| (*word).to_owned()));
        let quoted = found.iter().map(|word| {
            let bytes = word.bytes().map(|byte| match byte {
                b'"' | b'\\' => format!("\\x{byte:02x}"),
                b' '..=b'~' => char::from(byte).to_string(),
                byte => format!("\\x{byte:02x}"),
            });
            format!("\"{}\"\n", bytes.collect::<String>())
        });
        quoted.collect()
    }

    fn add(&mut self, target: &'static str, input: impl Into<Vec<u8>>) {
        self.0.entry(target).or_default().push(input.into());
    }

    /// An object in every form, and as what patches begin with.
    fn object(&mut self, object: &Value) {
        let scheme = Scheme::builtin();
        let Some(resource) = resource_of(&scheme, object) else {
            return;
        };
        let (byte, text) = (input::byte_of(resource), object.to_string());
        let with = |rest: &str| [&[byte][..], rest.as_bytes()].concat();
        self.add("json", with(&text));
        self.add("yaml", yaml::write(object));
        if let Ok(message) = Schema::builtin().write_object(text.as_bytes()) {
            self.add("protobuf", [&[byte][..], &message].concat());
            let path = path_of(resource);
            let head = format!(
                "POST {path}?dryRun=All\nContent-Type: application/vnd.kubernetes.protobuf\n\n"
            );
            self.add("requests", [head.as_bytes(), &message].concat());
        }
        let patch = json!({"metadata": {"labels": {"a": "b"}, "annotations": null}});
        self.add("merge_patch", with(&format!("{text}{patch}")));
        let operations = json!([
            {"op": "test", "path": "/kind", "value": object["kind"]},
            {"op": "add", "path": "/metadata/labels", "value": {"a/b": "c"}},
            {"op": "copy", "from": "/metadata", "path": "/spec/x"},
            {"op": "move", "from": "/metadata/labels/a~1b", "path": "/metadata/name"},
            {"op": "replace", "path": "/metadata/name", "value": "n"},
            {"op": "remove", "path": "/spec"},
        ]);
        self.add("json_patch", with(&format!("{text}{operations}")));
        self.add(
            "strategic_merge_patch",
            with(&format!("{text}{patch}{text}")),
        );
        self.add("apply", with(&format!("null null {text}")));
        let mut config = object.clone();
        config["metadata"]["labels"] = json!({"new": "label"});
        let owners = json!([{"manager": "two", "operation": "Apply", "apiVersion": meta::api_version(object),
            "time": "2026-01-01T00:00:00Z", "fieldsType": "FieldsV1",
            "fieldsV1": {"f:metadata": {"f:labels": {"f:app": {}}}, "f:spec": {".": {}}}}]);
        self.add("apply", with(&format!("{text}{owners}{config}")));
        let (name, path) = (meta::name(object), path_of(resource));
        for head in [
            format!("POST {path}?dryRun=All&fieldValidation=Strict\n\n{text}"),
            format!("PUT {path}/{name}?dryRun=All\nContent-Type: application/json\n\n{text}"),
            format!(
                "POST {path}?dryRun=All\nContent-Type: application/yaml\n\n{}",
                yaml::write(object)
            ),
            format!(
                "PATCH {path}/{name}?dryRun=All&fieldManager=m&force=true\nContent-Type: application/apply-patch+yaml\n\n{text}"
            ),
            format!(
                "PATCH {path}/{name}?dryRun=All\nContent-Type: application/strategic-merge-patch+json\n\n{patch}"
            ),
            format!(
                "PATCH {path}/{name}?dryRun=All\nContent-Type: application/merge-patch+json\n\n{patch}"
            ),
            format!(
                "PATCH {path}/{name}?dryRun=All\nContent-Type: application/json-patch+json\n\n[]"
            ),
            format!("DELETE {path}/{name}?dryRun=All&gracePeriodSeconds=0\n\n"),
            format!("GET {path}/{name}\nAccept: application/vnd.kubernetes.protobuf\n\n"),
            format!("GET {path}\nAccept: application/json;as=Table;v=v1;g=meta.k8s.io\n\n"),
        ] {
            self.add("requests", head);
        }
    }

    fn ownership(&mut self) {
        for text in [
            r#"{"f:metadata":{"f:labels":{".":{},"f:a":{}}},"f:spec":{"k:{\"name\":\"x\"}":{".":{},"f:image":{}},"v:\"a\"":{},"i:3":{}}}"#,
            r#"{"k:{\"a\":1,\"b\":null,\"c\":true,\"d\":1.5}":{}}"#,
            "{}",
        ] {
            self.add("apply", text);
        }
    }

    fn requests(&mut self) {
        for target in [
            "/",
            "/api",
            "/apis",
            "/apis/apps",
            "/apis/apps/v1",
            "/version",
            "/openapi/v2",
            "/openapi/v3",
            "/openapi/v3/apis/apps/v1?hash=A",
            "/api/v1/pods?limit=1&continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6NSwic3RhcnQiOiJkZWZhdWx0L3gifQ",
            "/api/v1/pods?labelSelector=app%20in%20(web,db),!x&fieldSelector=spec.nodeName%3D,status.phase!=Running",
            "/api/v1/configmaps?watch=1&resourceVersion=0&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&timeoutSeconds=5",
            "/api/v1/watch/namespaces/default/configmaps/x?resourceVersion=2",
            "/api/v1/namespaces/default/pods/x/log?tailLines=5&sinceSeconds=9223372036854775807&limitBytes=1",
            "/api/v1/configmaps?resourceVersion=1&resourceVersionMatch=Exact&limit=2",
            "/apis/apps/v1/namespaces/default/deployments/x/scale",
            "/api/v1/namespaces/default/pods/x/status?pretty=true&timeout=1h",
        ] {
            self.add(
                "requests",
                format!("GET {target}\nAccept-Encoding: gzip\n\n"),
            );
        }
        for (target, accept) in [
            (
                "/apis",
                "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json",
            ),
            (
                "/api/v1/pods",
                "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io;q=0.5",
            ),
            (
                "/openapi/v2",
                "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
            ),
        ] {
            self.add("requests", format!("GET {target}\nAccept: {accept}\n\n"));
        }
        let options = r#"{"kind":"DeleteOptions","apiVersion":"v1","gracePeriodSeconds":0,"propagationPolicy":"Foreground","preconditions":{"uid":"a"},"dryRun":["All"]}"#;
        self.add(
            "requests",
            format!("DELETE /api/v1/namespaces/default/configmaps\n\n{options}"),
        );
        for (part, body) in [
            (
                "deployments/x/scale",
                r#"{"kind":"Scale","apiVersion":"autoscaling/v1","metadata":{"name":"x"},"spec":{"replicas":9}}"#,
            ),
            (
                "deployments/x/status",
                r#"{"kind":"Deployment","apiVersion":"apps/v1","metadata":{"name":"x"},"status":{"replicas":1}}"#,
            ),
        ] {
            self.add(
                "requests",
                format!("PUT /apis/apps/v1/namespaces/default/{part}?dryRun=All\n\n{body}"),
            );
        }
        for (part, body) in [
            (
                "eviction",
                r#"{"kind":"Eviction","apiVersion":"policy/v1","metadata":{"name":"x"}}"#,
            ),
            (
                "binding",
                r#"{"kind":"Binding","apiVersion":"v1","metadata":{"name":"x"},"target":{"kind":"Node","name":"x"}}"#,
            ),
        ] {
            self.add(
                "requests",
                format!("POST /api/v1/namespaces/default/pods/x/{part}?dryRun=All\n\n{body}"),
            );
        }
    }

    fn texts(&mut self) {
        for text in [
            "a=b,c!=d,e in (f,g),h notin (i),j,!k,l>5,m<7",
            "example.org/name==v",
            "x in (,a)",
            "metadata.name=a\\,b,spec.nodeName!=",
            r#"{"matchLabels":{"a":"b"},"matchExpressions":[{"key":"k","operator":"In","values":["v"]}]}"#,
        ] {
            self.add("selectors", text);
        }
        for text in [
            "1",
            "-1",
            "+1.5Gi 3",
            "500m 1",
            "1e3 1E3",
            "0.1 -0.1",
            "12E",
            "1e-9",
            ".5",
            "5.",
            "9223372036854775807 1",
            "-9223372036854775808Ei 1Ei",
            "1e2147483647",
            "1e-2147483648",
            "0.0000000000000000000000000000000000000001e2147483647",
            "99999999999999999999999999999999999999n",
            "1e+0000000000000000000000000000003",
            "1024Ki 1Mi",
            "1.000000000000000000001",
        ] {
            self.add("quantities", text);
        }
        let texts = [
            "",
            "a",
            "A.b-c",
            "example.org/x",
            "*/5 * * * *",
            "@every 1h",
            "TZ=UTC 0 0 1 1 0",
            "Europe/Berlin",
            "0-3,7",
            "10.0.0.1",
            "010.0.0.1",
            "fd00::1",
            "::ffff:1.2.3.4",
            "10.0.0.0/8",
            "50%",
            "2147483648",
            "-1",
            "1e400",
            "18446744073709551616",
            "2026-02-29T24:00:60.999999999+23:59",
            "9999-12-31T23:59:59Z",
            "-292277022657-01-27T08:29:52Z",
            "9223372036854775807ns",
            "2562047h47m16.854775807s",
            "a=b,c in (d)",
            "https://a:99999/x?y#z",
            "/../..",
            "$(X)",
            "\u{0}\u{7f}\u{e9}\u{2028}",
            "ConfigMap",
        ];
        for (index, text) in texts
            .iter()
            .cycle()
            .take(texts.len().max(texts::slots()))
            .enumerate()
        {
            let slot = u16::try_from(index).unwrap_or_default().to_le_bytes();
            self.add("words", [&slot[..], text.as_bytes()].concat());
        }
    }

    fn templates(&mut self) {
        for text in [
            "{range .items[*]}{.metadata.name}{\"\\t\"}{.kind}{\"\\n\"}{end}",
            "{.items[?(@.kind==\"Pod\")].spec.containers[*].image}",
            "{$.items[0]['metadata','kind']}{.items[-1:]}{.items[::2]}{..name}",
            "{.items[?(@.metadata.name)].metadata.labels.kubernetes\\.io/hostname}",
            "{.numbers[?(@ > 1.5)]}{'text'}{1}{true}",
            "jsonpath={.status.phase}=Running",
            "condition=Ready=false",
        ] {
            self.add("jsonpath", text);
        }
        for text in [
            "NAME:.metadata.name,KINDS:.items[*].kind",
            "A B\n.items[0].metadata.name {.kind}",
            "X:..name",
        ] {
            self.add("custom_columns", text);
        }
        for text in [
            "{{range $i, $x := .items}}{{if eq $x.kind \"Pod\"}}{{$i}} {{$x.metadata.name | printf \"%-10q\"}}{{else}}-{{end}}{{end}}",
            "{{define \"t\"}}{{.}}{{end}}{{template \"t\" index .items 0}}{{block \"b\" .}}{{len .numbers}}{{end}}",
            "{{with .none}}x{{else with .items}}{{slice . 0 1}}{{end}}{{- /* c */ -}}",
            "{{printf \"%05d %+.3e %x %v %s %c %t %*d\" 5 1.5 \"a\" .numbers nil 65 true 7 8}}",
            "{{and 1 0 | or 2 | not}}{{html \"<\"}}{{js \"'\"}}{{urlquery \"a b\"}}{{\"YQ==\" | base64decode}}{{exists . \"a\" \"b\"}}",
            "{{0x1F}}{{1_000}}{{'a'}}{{`raw`}}{{-0x8000000000000000}}{{range 3}}{{break}}{{end}}",
        ] {
            self.add("go_template", text);
        }
    }

    fn files(&mut self) {
        let log = "2026-11-21T04:00:00.000000001Z stdout F one\n2026-11-21T04:00:01Z stderr P tw\n2026-11-21T04:00:01.5+01:00 stderr F o\nnoise\n";
        for flags in [0u8, 1, 2, 4, 8, 16, 31] {
            self.add("cri_log", [&[flags, 2, 9, 1][..], log.as_bytes()].concat());
        }
        for text in [
            r#"{"cniVersion":"1.0.0","name":"n","type":"ferrule-cni","podCIDR":"10.244.1.0/24","bridge":"cni0","mtu":1500}"#,
            r#"{"cniVersion":"0.4.0","name":"n","plugins":[{"type":"bridge","ipam":{"type":"host-local"}},{"type":"portmap","capabilities":{"portMappings":true}}]}"#,
            r#"{"name":"n","type":"loopback","podCIDR":"0.0.0.0/0"}"#,
        ] {
            self.add("cni", text);
        }
        for text in [
            "root\nroot:x:0:0:root:/root:/bin/sh\nweb:x:1000:1000::/srv:\n",
            "web:staff\nweb:x:1000:1000::/srv:\nstaff:x:50:web,root\n",
            "1000:4294967296\nweb:x:99999999999:-1:\n",
            "nameserver 10.0.0.1\nsearch a b.\noptions ndots:5 # no\n",
            "$(A)$$(B)$(C$\nnginx: local/nginx:1\n",
        ] {
            self.add("node_files", text);
        }
        for text in [
            "apiVersion: v1\nkind: Config\nclusters:\n- name: lab\n  cluster:\n    server: https://a:6443,https://b\n    certificate-authority: ca.crt\n    tls-server-name: x\ncontexts:\n- name: lab\n  context: {cluster: lab, user: admin, namespace: n}\ncurrent-context: lab\nusers:\n- name: admin\n  user:\n    client-certificate-data: YQ==\n    client-key-data: Yg==\n    token: t\n",
            "a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]\n",
        ] {
            self.add("kubeconfig", text);
        }
        let mut questions = Vec::new();
        for name in [
            "web.default.svc.cluster.local",
            "_http._tcp.db.default.svc.cluster.local",
            "one.db.default.svc.cluster.local",
            "out.default.svc.cluster.local",
            "10-1-2-3.default.pod.cluster.local",
            "10.0.96.10.in-addr.arpa",
            "dns-version.cluster.local",
            "default.svc.cluster.local",
            "example.org",
        ] {
            for kind in [1u8, 5, 12, 16, 28, 33, 255] {
                questions.push(question(name, kind));
            }
        }
        // A name that leads back to itself, and one with a label that is no text.
        questions.push(b"\0\x01\x01\0\0\x01\0\0\0\0\0\0\xc0\x0c\0\x01\0\x01".to_vec());
        questions.push(
            b"\0\x01\x01\0\0\x01\0\0\0\0\0\0\x03\xff.\0\x07cluster\x05local\0\0\x01\0\x01".to_vec(),
        );
        for bytes in questions {
            self.add("dns", bytes);
        }
    }

    fn images(&mut self) {
        let digest = format!("sha256:{}", "a".repeat(64));
        for text in [
            "nginx".to_owned(),
            "localhost:5000/a/b:tag".to_owned(),
            format!("registry.k8s.io/pause:3.10@{digest}"),
            format!("index.docker.io/library/x@{digest}"),
            format!(r#"{{"manifests":[{{"digest":"{digest}","size":1,"platform":{{"os":"linux","architecture":"amd64"}}}}]}}"#),
            format!(r#"{{"config":{{"digest":"{digest}"}},"layers":[{{"digest":"{digest}","annotations":null}}]}}"#),
            r#"{"architecture":"amd64","os":"linux","config":{"Env":null,"Cmd":["sh"],"User":"0:0","Volumes":{"/x":{}},"Labels":{}},"rootfs":{"diff_ids":["a"]}}"#.to_owned(),
        ] {
            self.add("image_names", text);
        }
        let manifest = r#"[{"Config":"c.json","RepoTags":["echo:v1"],"Layers":["l.tar"]}]"#;
        let config = r#"{"rootfs":{"diff_ids":["sha256:00"]}}"#;
        let index = r#"{"manifests":[{"digest":"sha256:00"}]}"#;
        let entry = |name: &str, text: &str| format!("0 644 0 {} {name} \n{text}", text.len());
        for entries in [
            "5 755 1 0 a \n0 644 1 3 a/b \nabc2 777 0 0 a/l b\n1 644 0 0 a/h a/b\n3 600 0 0 dev x\n6 600 0 0 pipe \n0 0 0 0 a/.wh.b \n0 0 0 0 a/.wh..wh..opq \n".to_owned(),
            "2 777 0 0 up ..\n0 644 0 1 up/out \nx5 755 0 0 up/made \n0 0 0 0 up/.wh.x \n4 600 0 0 up/node \n".to_owned(),
            "5 777 18446744073709551615 0 late \n0 644 18446744073709551615 0 late/x \n".to_owned(),
            // A folder behind a link that is turned round afterwards.
            "5 755 0 0 in \n2 777 0 0 l in\n5 777 0 0 l/marked \n2 777 0 0 l ..\n".to_owned(),
            "0 644 0 1 ../escaped \nx0 644 0 1 /abs \nx".to_owned(),
            format!("{}{}{}", entry("manifest.json", manifest), entry("c.json", config), entry("l.tar", "x")),
            format!("{}{}", entry("index.json", index), entry("blobs/sha256/00", "{}")),
            "2 0 0 0 manifest.json index.json\n2 0 0 0 index.json manifest.json\n".to_owned(),
        ] {
            self.add("image_archive", format!("e{entries}"));
            let whole = crate::targets::images::archive_of(entries.as_bytes());
            self.add("image_archive", [&b"w"[..], &whole].concat());
        }
        self.add(
            "image_archive",
            &b"w\x1f\x8b\x08\0\0\0\0\0\0\x03\x03\0\0\0\0\0\0\0\0\0"[..],
        );
        self.add(
            "image_archive",
            &b"w\x28\xb5\x2f\xfd\x24\0\x01\0\0\x99\xe9\xd8\x51"[..],
        );
    }

    /// Inputs that are small, and large for who reads them carelessly.
    fn bombs(&mut self) {
        let scheme = Scheme::builtin();
        let byte = |group: &str, plural: &str| {
            let row = scheme.lookup(group, "v1", plural).map(|row| &**row);
            row.map_or(0, input::byte_of)
        };
        let revision = byte("apps", "controllerrevisions");
        let definition = byte("apiextensions.k8s.io", "customresourcedefinitions");
        let nested = |open: &str, depth: usize, close: &str| {
            format!("{}1{}", open.repeat(depth), close.repeat(depth))
        };
        for depth in [60, 120, 126, 130, 900, 5000] {
            let lists = nested("[", depth, "]");
            let maps = nested("{\"a\":", depth, "}");
            let schemas = format!(
                "{}{{}}{}",
                "{\"properties\":{\"a\":".repeat(depth),
                "}}".repeat(depth)
            );
            for deep in [&lists, &maps] {
                let text = format!(r#"{{"metadata":{{"name":"x"}},"revision":1,"data":{deep}}}"#);
                self.add("json", [&[revision][..], text.as_bytes()].concat());
                self.add("yaml", deep.as_bytes());
                self.add(
                    "apply",
                    [&[revision][..], b"null null ", text.as_bytes()].concat(),
                );
                self.add("requests", format!("PATCH /apis/apps/v1/namespaces/default/controllerrevisions/x?dryRun=All&fieldManager=m\nContent-Type: application/apply-patch+yaml\n\n{{\"apiVersion\":\"apps/v1\",\"kind\":\"ControllerRevision\",\"metadata\":{{\"name\":\"x\"}},\"revision\":3,\"data\":{deep}}}"));
            }
            let text = format!(
                r#"{{"spec":{{"versions":[{{"name":"v1","schema":{{"openAPIV3Schema":{schemas}}}}}]}}}}"#
            );
            self.add("json", [&[definition][..], text.as_bytes()].concat());
            // The field 1 of a message, within itself.
            let mut message = Vec::new();
            for _ in 0..depth.min(900) {
                let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
                let head = [
                    0x0a,
                    length.to_le_bytes()[0] | 0x80,
                    u8::try_from(length >> 7).unwrap_or(0x7f),
                ];
                message = [&head[..], &message].concat();
            }
            for row in [revision, definition] {
                self.add("protobuf", [&[row][..], &message].concat());
            }
            self.add(
                "jsonpath",
                format!("{{{}}}", nested("[?(@.a==", depth, ")]")),
            );
            self.add(
                "jsonpath",
                format!("{{.items{}}}", "..*".repeat(depth.min(12))),
            );
            self.add(
                "go_template",
                format!("{{{{{}}}}}", nested("(", depth, ")")),
            );
            self.add(
                "go_template",
                format!("{}{}", "{{if 1}}".repeat(depth), "{{end}}".repeat(depth)),
            );
        }
        self.protobuf_bombs(byte("", "pods"));
        self.yaml_bombs();
        self.patch_bombs(revision);
        self.add(
            "go_template",
            format!(
                "{{{{$x := \"aaaaaaaa\"}}}}{}{{{{len $x}}}}",
                "{{$x = printf \"%s%s\" $x $x}}".repeat(40)
            ),
        );
        self.add(
            "go_template",
            "{{define \"a\"}}{{template \"a\" .}}{{template \"a\" .}}{{end}}{{template \"a\"}}",
        );
        self.add(
            "go_template",
            "{{printf \"%999999999d%*d%.999999999f\" 1 999999999 2 3.5}}",
        );
        self.add(
            "jsonpath",
            "{range .items[*]}".repeat(12) + &"{end}".repeat(12),
        );
        self.add(
            "jsonpath",
            "{.items[-9223372036854775808:9223372036854775807:9223372036854775807]}",
        );
        self.add("selectors", format!("a in ({})", "b,".repeat(5000)));
        self.add("selectors", "a,".repeat(5000));
        self.add(
            "words",
            [&[0, 0][..], "a-".repeat(20_000).as_bytes()].concat(),
        );
    }

    fn protobuf_bombs(&mut self, pod: u8) {
        for bytes in [
            // A number that is longer than it must be, and one that is longer than can be.
            &b"\x0a\x82\x80\x80\x80\x80\x80\x80\x80\x80\0\x0a\0"[..],
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            // A length beyond the end, and one beyond all memory.
            b"\x0a\x7f",
            b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
            // A name that is no UTF-8, metadata twice, groups, and fixed numbers where texts should be.
            b"\x0a\x03\x0a\x01\xff",
            b"\x0a\x03\x0a\x01a\x0a\x03\x0a\x01b",
            b"\x0b\x0c",
            b"\x09\0\0\0\0\0\0\xf0\x7f\x0d\0\0\0\0",
        ] {
            self.add("protobuf", [&[pod][..], bytes].concat());
            self.add("protobuf", [b"k8s\0", bytes].concat());
        }
    }

    fn yaml_bombs(&mut self) {
        let mut laughs = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for level in 1..12 {
            let before = format!("*a{},", level - 1).repeat(10);
            laughs.push_str(&format!("a{level}: &a{level} [{before}]\n"));
        }
        self.add("yaml", laughs.as_bytes());
        self.add("kubeconfig", laughs);
        let text = format!(
            "a: &a \"{}\"\nb: [{}]\n",
            "x".repeat(20_000),
            "*a,".repeat(10_000)
        );
        self.add("yaml", text);
        // Every list keeps a copy of what it holds.
        let anchors: String = (0..500).map(|level| format!("&a{level} [")).collect();
        self.add(
            "yaml",
            format!("{anchors}{}{}", "x,".repeat(10_000), "]".repeat(500)),
        );
        let merges: String = (1..300)
            .map(|level| format!("m{level}: &m{level} {{<<: *m{}, k{level}: 1}}\n", level - 1))
            .collect();
        self.add("yaml", format!("m0: &m0 {{k: 1}}\n{merges}"));
        for text in [
            "a: &a [*a]",
            "? {a: b}\n: c",
            "? &a a\n: *a\n*a : b",
            "!!int 0x8000000000000000",
            "!!float .inf",
            "[.nan, -.inf, 1e999, 0o7, 0b1, 1_000, 190:20:30, 0644, 1e3, 2001-01-01]",
            "!!binary gIGC\n",
            "%YAML 1.1\n---\n<<: [{a: 1}, {b: 2}]\n...\n--- |2-\n   x\n--- >+\n\n y\n\n",
            "\u{feff}a: \"\\ud800\\x00\\U0010ffff\"",
            "{\"a\":1}{\"b\":2}",
        ] {
            self.add("yaml", text);
        }
        self.add("yaml", "- ".repeat(2000));
        self.add("yaml", format!("{}a", "? ".repeat(2000)));
        self.add(
            "yaml",
            (0..1200)
                .map(|depth| format!("{}a:\n", " ".repeat(depth)))
                .collect::<String>(),
        );
        self.add("yaml", format!("{}: 1", "a".repeat(3000)));
    }

    fn patch_bombs(&mut self, revision: u8) {
        let original = r#"{"metadata":{"name":"x"},"revision":1,"data":{"a":"aaaaaaaaaaaaaaaa"}}"#;
        let doubling: Vec<String> = (0..30)
            .map(|number| format!(r#"{{"op":"copy","from":"/data","path":"/b"}},{{"op":"move","from":"/b","path":"/data/{number}"}}"#))
            .collect();
        let doubling = format!("[{}]", doubling.join(","));
        let lists = vec![r#"{"op":"copy","from":"/data","path":"/data/l/-"}"#; 30].join(",");
        let lists = format!(r#"[{{"op":"add","path":"/data/l","value":[]}},{lists}]"#);
        let deeper = vec![
            r#"{"op":"add","path":"/data/n","value":{}},{"op":"move","from":"/data/a","path":"/data/n/a"},{"op":"move","from":"/data/n","path":"/data/a"}"#;
            1500
        ];
        let deeper = format!("[{}]", deeper.join(","));
        for operations in [doubling, lists, deeper] {
            self.add(
                "json_patch",
                [
                    &[revision][..],
                    format!("{original}{operations}").as_bytes(),
                ]
                .concat(),
            );
            self.add("requests", format!("PATCH /apis/apps/v1/namespaces/default/controllerrevisions/x?dryRun=All\nContent-Type: application/json-patch+json\n\n{operations}"));
        }
    }

    /// The requests of the recorded conversations.
    fn recorded(&mut self, oracle: &Path) {
        let Ok(files) = fs::read_dir(oracle.join("cases")) else {
            return;
        };
        for file in files.flatten() {
            let Ok(text) = fs::read_to_string(file.path()) else {
                continue;
            };
            let Ok(document) = yaml::read_document(&text) else {
                continue;
            };
            let steps = document.value["steps"].as_array().cloned();
            for step in steps.into_iter().flatten() {
                self.step(&step);
            }
        }
    }

    fn step(&mut self, step: &Value) {
        let method = step["method"].as_str().unwrap_or("GET");
        let Some(path) = step["path"].as_str() else {
            return;
        };
        let body = match &step["body"] {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let body = body.replace("{ns}", "default");
        let path = path.replace("{ns}", "default").replace(' ', "%20");
        let kind = step["type"].as_str().unwrap_or("application/json");
        let accept = step["accept"].as_str().unwrap_or("application/json");
        self.add(
            "requests",
            format!("{method} {path}\nContent-Type: {kind}\nAccept: {accept}\n\n{body}"),
        );
        let scheme = Scheme::builtin();
        if let Some(resource) = resource_of(&scheme, &step["body"]) {
            let byte = input::byte_of(resource);
            self.add("json", [&[byte][..], body.as_bytes()].concat());
            self.add("yaml", yaml::write(&step["body"]));
            if kind.contains("apply-patch") {
                self.add(
                    "apply",
                    [&[byte][..], b"null null ", body.as_bytes()].concat(),
                );
            }
        }
        let target = match kind {
            "application/json-patch+json" => "json_patch",
            "application/merge-patch+json" => "merge_patch",
            "application/strategic-merge-patch+json" => "strategic_merge_patch",
            _ => return,
        };
        // What is patched is a sample of the kind that the path names.
        let sample = objects().into_iter().find_map(|object| {
            let resource = resource_of(&scheme, &object)?;
            let named = path.contains(&format!("/{}/", resource.plural));
            named.then(|| (input::byte_of(resource), object))
        });
        if let Some((byte, object)) = sample {
            self.add(
                target,
                [&[byte][..], format!("{object}{body}").as_bytes()].concat(),
            );
        }
    }
}

/// The keys and short texts of an object.
fn gather(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, inner)| {
            found.insert(format!("\"{key}\":"));
            gather(inner, found);
        }),
        Value::Array(items) => items.iter().for_each(|item| gather(item, found)),
        Value::String(text) if (1..40).contains(&text.len()) => drop(found.insert(text.clone())),
        _ => {}
    }
}

/// What no object says.
const WORDS: &[&str] = &[
    "$patch",
    "$retainKeys",
    "$setElementOrder/",
    "$deleteFromPrimitiveList/",
    "f:",
    "k:",
    "v:",
    "i:",
    "\"op\":",
    "\"path\":",
    "\"from\":",
    "\"value\":",
    "copy",
    "move",
    "test",
    "add",
    "remove",
    "replace",
    "managedFields",
    "fieldsV1",
    "{{",
    "}}",
    "{{-",
    "-}}",
    "range",
    "else",
    "end",
    "define",
    "template",
    "block",
    "with",
    "printf",
    "index",
    "slice",
    "len",
    "break",
    "..",
    "[?(@.",
    "[*]",
    "[-1:]",
    "&a ",
    "*a",
    "<<: ",
    "!!int ",
    "!!float ",
    "? ",
    "|2-\n",
    ">+\n",
    "%YAML 1.1\n",
    "---\n",
    "...\n",
    " in (",
    " notin (",
    "!=",
    "==",
    "GET ",
    "POST ",
    "PUT ",
    "PATCH ",
    "DELETE ",
    "Accept: ",
    "Content-Type: ",
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
    "application/apply-patch+yaml",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/json-patch+json",
    ";as=Table;v=v1;g=meta.k8s.io",
    "dryRun=All",
    "fieldValidation=",
    "fieldManager=",
    "force=true",
    "limit=",
    "continue=",
    "resourceVersion=",
    "resourceVersionMatch=",
    "labelSelector=",
    "fieldSelector=",
    "watch=1",
    "timeoutSeconds=",
    "allowWatchBookmarks=",
    "sendInitialEvents=",
    "propagationPolicy=",
    "gracePeriodSeconds=",
    "includeObject=",
    "/status",
    "/scale",
    "/log",
    "/eviction",
    "/binding",
    "/ephemeralcontainers",
    "/resize",
    "/finalize",
    "/approval",
    "/token",
    "null",
    "true",
    "1e400",
    "18446744073709551616",
    "-9223372036854775808",
    "\\ud800",
    "stdout F ",
    "stderr P ",
    ".wh.",
    ".wh..wh..opq",
    "cniVersion",
    "sha256:",
];

/// A question for a name; `kind` is the number of a type of records.
fn question(name: &str, kind: u8) -> Vec<u8> {
    let mut bytes = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0".to_vec();
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).unwrap_or(63));
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.extend_from_slice(&[0, 0, kind, 0, 1]);
    bytes
}
