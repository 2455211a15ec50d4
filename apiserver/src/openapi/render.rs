//! Writes whole documents, piece by piece.

use std::collections::BTreeMap;
use std::io::{self, Write};

use ferrule_apimachinery::schema::Schema;
use ferrule_apimachinery::scheme::{Resource, Scheme};
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use sha2::{Digest, Sha512};

use super::definitions::{Definitions, closure};
use super::descriptions::Descriptions;
use super::gnostic;
use super::kinds::{self, Kinds};
use super::names::{self, Definition};
use super::operations;
use super::{Dialect, Document};

/// Compresses and hashes what is written.
struct Sink {
    gzip: GzEncoder<Vec<u8>>,
    hash: Sha512,
}

impl Sink {
    fn new() -> Sink {
        Sink {
            gzip: GzEncoder::new(Vec::new(), Compression::default()),
            hash: Sha512::new(),
        }
    }

    fn finish(self) -> io::Result<Document> {
        let mut gzip = self.gzip.finish()?;
        gzip.shrink_to_fit();
        let hash = self.hash.finalize();
        Ok(Document {
            etag: hash.iter().map(|byte| format!("{byte:02X}")).collect(),
            gzip: gzip.into(),
        })
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hash.update(bytes);
        self.gzip.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A path that is only read: discovery and the version.
struct Lone {
    path: String,
    id: String,
    words: &'static str,
    answer: Option<Definition>,
}

/// The part of the API that a document is about.
struct Part<'a> {
    /// The resources of one group and version; none in documents of one path.
    resources: Vec<&'a Resource>,
    lone: Lone,
}

/// The parts of the API by the places of their documents.
fn parts<'a>(scheme: &'a Scheme, schema: &Schema) -> BTreeMap<String, Part<'a>> {
    let meta = |kind: &str| kinds::meta(schema, kind).map(Definition::Type);
    let mut all = BTreeMap::new();
    let mut add = |place: &str, id: String, words, answer, resources| {
        let path = format!("/{place}/");
        let lone = Lone {
            path,
            id,
            words,
            answer,
        };
        all.insert(place.to_owned(), Part { resources, lone });
    };
    let none = Vec::new;
    let words = "get available API versions";
    add(
        "api",
        "getCoreAPIVersions".into(),
        words,
        meta("APIVersions"),
        none(),
    );
    add(
        "apis",
        "getAPIVersions".into(),
        words,
        meta("APIGroupList"),
        none(),
    );
    let words = "get the version of the server";
    add(
        "version",
        "getCodeVersion".into(),
        words,
        names::opaque("Info"),
        none(),
    );
    for (group, versions) in scheme.groups() {
        if !group.is_empty() {
            let id = format!("get{}APIGroup", operations::title(group, ""));
            let words = "get information of a group";
            add(
                &format!("apis/{group}"),
                id,
                words,
                meta("APIGroup"),
                none(),
            );
        }
        for version in versions {
            let rows = scheme.iter().map(|row| &**row);
            let resources = rows.filter(|row| row.group == group && row.version == version);
            let place = operations::root(group, version);
            let id = format!("get{}APIResources", operations::title(group, version));
            let (words, answer) = ("get available resources", meta("APIResourceList"));
            add(
                place.trim_start_matches('/'),
                id,
                words,
                answer,
                resources.collect(),
            );
        }
    }
    all
}

impl Part<'_> {
    fn roots(&self, made: &Definitions<'_>) -> Vec<Definition> {
        let mut roots: Vec<Definition> = self.lone.answer.into_iter().collect();
        for resource in &self.resources {
            roots.extend(operations::roots(made, resource));
        }
        if !self.resources.is_empty() {
            let protocol = ["DeleteOptions", "Status", "WatchEvent"].into_iter();
            let protocol = protocol.filter_map(|kind| kinds::meta(made.schema, kind));
            roots.extend(protocol.map(Definition::Type));
            roots.extend(names::opaque("Patch"));
        }
        roots
    }

    /// Its paths, one resource at a time.
    fn paths<'a>(
        &'a self,
        made: &'a Definitions<'a>,
    ) -> impl Iterator<Item = (String, Value)> + 'a {
        let lone = self.lone.answer.map(|answer| {
            let item = operations::lone(made, &self.lone.id, self.lone.words, answer);
            (self.lone.path.clone(), item)
        });
        let resources = self.resources.iter();
        lone.into_iter()
            .chain(resources.flat_map(|resource| operations::paths(made, resource)))
    }
}

/// Everything that documents are made from.
struct Sources<'a> {
    scheme: &'a Scheme,
    schema: &'static Schema,
    texts: Descriptions,
    kinds: Kinds,
}

impl Sources<'_> {
    fn read(scheme: &Scheme) -> io::Result<Sources<'_>> {
        let schema = Schema::builtin();
        Ok(Sources {
            scheme,
            schema,
            texts: Descriptions::unpack()?,
            kinds: Kinds::new(scheme, schema),
        })
    }
}

/// The documents of version 3.
pub(super) fn v3(scheme: &Scheme) -> io::Result<BTreeMap<String, Document>> {
    v3_with(scheme, |made, part, sink| {
        sink.write_all(b"{\"components\":{\"schemas\":")?;
        entries(sink, definitions(made, [part]))?;
        write!(
            sink,
            "}},\"info\":{},\"openapi\":\"3.0.0\",\"paths\":",
            info()
        )?;
        entries(sink, part.paths(made))?;
        sink.write_all(b"}")
    })
}

/// The documents of version 3 in protobuf.
pub(super) fn v3_protobuf(scheme: &Scheme) -> io::Result<BTreeMap<String, Document>> {
    v3_with(scheme, |made, part, sink| {
        sink.write_all(&gnostic::v3::head(&info()))?;
        for (name, item) in part.paths(made) {
            sink.write_all(&gnostic::v3::path(&name, &item))?;
        }
        for (name, definition) in definitions(made, [part]) {
            sink.write_all(&gnostic::v3::definition(&name, &definition))?;
        }
        Ok(())
    })
}

fn v3_with(
    scheme: &Scheme,
    write: impl Fn(&Definitions<'_>, &Part<'_>, &mut Sink) -> io::Result<()>,
) -> io::Result<BTreeMap<String, Document>> {
    let sources = Sources::read(scheme)?;
    let texts = sources.texts.index();
    let made = Definitions {
        schema: sources.schema,
        texts: &texts,
        kinds: &sources.kinds,
        dialect: Dialect::V3,
    };
    let parts = parts(sources.scheme, sources.schema);
    let documents = parts.iter().map(|(place, part)| {
        let mut sink = Sink::new();
        write(&made, part, &mut sink)?;
        Ok((place.clone(), sink.finish()?))
    });
    documents.collect()
}

/// The document of version 2.
pub(super) fn v2(scheme: &Scheme) -> io::Result<Document> {
    v2_with(scheme, |made, parts, sink| {
        write!(sink, "{{\"swagger\":\"2.0\",\"info\":{},\"paths\":", info())?;
        entries(sink, parts.values().flat_map(|part| part.paths(made)))?;
        sink.write_all(b",\"definitions\":")?;
        entries(sink, definitions(made, parts.values()))?;
        sink.write_all(b"}")
    })
}

/// The document of version 2 in protobuf.
pub(super) fn v2_protobuf(scheme: &Scheme) -> io::Result<Document> {
    v2_with(scheme, |made, parts, sink| {
        sink.write_all(&gnostic::v2::head(&info()))?;
        for (name, item) in parts.values().flat_map(|part| part.paths(made)) {
            sink.write_all(&gnostic::v2::path(&name, &item))?;
        }
        for (name, definition) in definitions(made, parts.values()) {
            sink.write_all(&gnostic::v2::definition(&name, &definition))?;
        }
        Ok(())
    })
}

fn v2_with(
    scheme: &Scheme,
    write: impl FnOnce(&Definitions<'_>, &BTreeMap<String, Part<'_>>, &mut Sink) -> io::Result<()>,
) -> io::Result<Document> {
    let sources = Sources::read(scheme)?;
    let texts = sources.texts.index();
    let made = Definitions {
        schema: sources.schema,
        texts: &texts,
        kinds: &sources.kinds,
        dialect: Dialect::V2,
    };
    let mut sink = Sink::new();
    write(&made, &parts(sources.scheme, sources.schema), &mut sink)?;
    sink.finish()
}

fn info() -> Value {
    json!({"title": "Kubernetes", "version": ferrule_component_base::GIT_VERSION})
}

/// All definitions that some parts need, one at a time.
fn definitions<'a>(
    made: &'a Definitions<'a>,
    parts: impl IntoIterator<Item = &'a Part<'a>>,
) -> impl Iterator<Item = (String, Value)> {
    let roots = parts.into_iter().flat_map(|part| part.roots(made));
    let all = closure(made.schema, roots);
    all.into_iter().map(|(name, definition)| {
        let value = made.get(&name, definition);
        (name, value)
    })
}

/// Writes an object, entry by entry.
fn entries(sink: &mut Sink, entries: impl Iterator<Item = (String, Value)>) -> io::Result<()> {
    let mut before = "{";
    for (name, value) in entries {
        write!(sink, "{before}{}:", Value::from(name))?;
        serde_json::to_writer(&mut *sink, &value)?;
        before = ",";
    }
    if before == "{" {
        sink.write_all(b"{")?;
    }
    sink.write_all(b"}")
}
