//! What each field of the schema is on the wire, worked out once for a type when it is first met.

use std::collections::HashMap;
use std::sync::OnceLock;

use super::wire::{put_bytes, put_fixed64, put_number};
use crate::schema::{Kind, Schema, TypeId};

/// A value on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Bool,
    /// A whole number; a negative one has 64 bits.
    Number,
    Double,
    Text,
    Bytes,
    /// `{1: nanoseconds}`.
    Duration,
    /// `{1: seconds, 2: nanoseconds}`; nothing inside for the zero time.
    Time,
    MicroTime,
    /// `{1: text}`.
    Quantity,
    /// `{1: is it text, 2: number, 3: text}`.
    IntOrString,
    /// `{1: JSON}`.
    Json,
    /// `{1: texts}`: a named list that is a message of its own.
    Texts,
    /// A message of the table.
    Message(TypeId),
    /// `{1: bool, 2: schema}`.
    SchemaOrBool(TypeId),
    /// `{1: schema, 2: schemas}`.
    SchemaOrList(TypeId),
    /// `{1: schema, 2: texts}`.
    SchemaOrTexts(TypeId),
    List(Box<Form>),
    /// Entries `{1: key, 2: value}`.
    Map(Box<Form>),
}

impl Form {
    fn of(schema: &Schema, kind: &Kind, go_type: &str) -> Form {
        let name = go_type.rsplit('.').next().unwrap_or(go_type);
        let or_schema = |form: fn(TypeId) -> Form| {
            let id = schema.type_id("apiextensions.k8s.io/v1.JSONSchemaProps");
            id.map_or(Form::Json, form)
        };
        match kind {
            Kind::Bool => Form::Bool,
            Kind::Int32 | Kind::Int64 => Form::Number,
            Kind::Float64 => Form::Double,
            Kind::Text if go_type.ends_with(".Duration") => Form::Duration,
            Kind::Text => Form::Text,
            Kind::Bytes => Form::Bytes,
            Kind::Time => Form::Time,
            Kind::MicroTime => Form::MicroTime,
            Kind::Quantity => Form::Quantity,
            Kind::IntOrString => Form::IntOrString,
            Kind::Any => match name {
                "JSONSchemaPropsOrBool" => or_schema(Form::SchemaOrBool),
                "JSONSchemaPropsOrArray" => or_schema(Form::SchemaOrList),
                "JSONSchemaPropsOrStringArray" => or_schema(Form::SchemaOrTexts),
                _ => Form::Json,
            },
            Kind::Struct(id) => Form::Message(*id),
            Kind::List(_)
                if matches!(name, "ExtraValue" | "Verbs") && !go_type.starts_with('[') =>
            {
                Form::Texts
            }
            Kind::List(element) => {
                let of = go_type.strip_prefix("[]").unwrap_or_default();
                Form::List(Box::new(Form::of(schema, element, of)))
            }
            Kind::Map(element) => {
                let of = match go_type
                    .strip_prefix("map[")
                    .and_then(|it| it.split_once(']'))
                {
                    Some((_, of)) => of,
                    None if name == "JSONSchemaDependencies" => "JSONSchemaPropsOrStringArray",
                    None => "",
                };
                Form::Map(Box::new(Form::of(schema, element, of)))
            }
        }
    }

    /// The field of a value that nobody set, as it is written where Go does not tell it from none.
    fn write_zero(&self, schema: &Schema, tag: u16, out: &mut Vec<u8>) {
        match self {
            Form::Bool | Form::Number => put_number(out, tag, 0),
            Form::Double => put_fixed64(out, tag, 0),
            Form::Text | Form::Time | Form::MicroTime | Form::Json => put_bytes(out, tag, b""),
            Form::Duration => put_bytes(out, tag, b"\x08\0"),
            Form::Quantity => put_bytes(out, tag, b"\x0a\x010"),
            Form::IntOrString => put_bytes(out, tag, b"\x08\0\x10\0\x1a\0"),
            Form::Message(id) => put_bytes(out, tag, message(schema, *id).zero()),
            Form::SchemaOrBool(_) | Form::SchemaOrList(_) | Form::SchemaOrTexts(_) => {
                put_bytes(out, tag, b"");
            }
            Form::Bytes | Form::Texts | Form::List(_) | Form::Map(_) => {}
        }
    }
}

/// A field of a message.
#[derive(Debug)]
pub(super) struct Slot {
    pub name: &'static str,
    pub tag: u16,
    /// The message it belongs to: the type's own, or one of those that it inlines.
    pub section: usize,
    pub form: Form,
    /// How it is written when the object does not have it; empty when it is not.
    pub zero: Box<[u8]>,
}

/// A message within a type's: the first is its own, the others are those of inlined types.
#[derive(Debug)]
pub(super) struct Section {
    /// The message that this one is a field of.
    pub parent: usize,
    pub tag: u16,
}

/// How a type is written and read.
#[derive(Debug, Default)]
pub(super) struct Message {
    pub slots: Vec<Slot>,
    pub sections: Vec<Section>,
    by_name: HashMap<&'static str, usize>,
    /// What each section holds, by number.
    order: Vec<Vec<Item>>,
    zero: OnceLock<Box<[u8]>>,
}

/// What a section holds.
#[derive(Debug)]
pub(super) enum Item {
    /// A field.
    Slot(usize),
    /// A message that the type inlines.
    Section(usize),
}

impl Message {
    /// The field with this name in JSON.
    pub(super) fn named(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// The field with this number in a section.
    pub(super) fn numbered(&self, section: usize, tag: u64) -> Option<&Slot> {
        self.slots
            .iter()
            .find(|slot| slot.section == section && u64::from(slot.tag) == tag)
    }

    /// The inlined message with this number in a section.
    pub(super) fn inlined(&self, parent: usize, tag: u64) -> Option<usize> {
        let mut sections = self.sections.iter().enumerate().skip(1);
        let found = sections.find(|(_, it)| it.parent == parent && u64::from(it.tag) == tag);
        found.map(|(index, _)| index)
    }

    /// What a section holds, in the order in which it is written.
    pub(super) fn order(&self, section: usize) -> &[Item] {
        self.order.get(section).map_or(&[], Vec::as_slice)
    }

    /// The message of an object in which nothing is set.
    fn zero(&self) -> &[u8] {
        self.zero.get_or_init(|| {
            let mut out = Vec::new();
            super::write::assemble(self, Vec::new(), &mut out, 0);
            out.into()
        })
    }

    fn collect(&mut self, schema: &Schema, id: TypeId, section: usize) {
        let ty = schema.get(id);
        for field in ty.fields.iter().filter(|field| field.proto_tag != 0) {
            let form = Form::of(schema, &field.kind, &field.go_type);
            let mut zero = Vec::new();
            if !field.pointer {
                form.write_zero(schema, field.proto_tag, &mut zero);
            }
            self.by_name.insert(field.name, self.slots.len());
            self.slots.push(Slot {
                name: field.name,
                tag: field.proto_tag,
                section,
                form,
                zero: zero.into(),
            });
        }
        for (tag, inlined) in &ty.inlined {
            self.sections.push(Section {
                parent: section,
                tag: *tag,
            });
            self.collect(schema, *inlined, self.sections.len() - 1);
        }
    }
}

fn in_order(message: &Message) -> Vec<Vec<Item>> {
    let mut order: Vec<Vec<(u16, Item)>> = Vec::new();
    order.resize_with(message.sections.len(), Vec::new);
    for (index, slot) in message.slots.iter().enumerate() {
        order[slot.section].push((slot.tag, Item::Slot(index)));
    }
    for (index, section) in message.sections.iter().enumerate().skip(1) {
        order[section.parent].push((section.tag, Item::Section(index)));
    }
    let sorted = order.into_iter().map(|mut items| {
        items.sort_by_key(|(tag, _)| *tag);
        items.into_iter().map(|(_, item)| item).collect()
    });
    sorted.collect()
}

/// How a type of the built-in table is written and read.
pub(super) fn message(schema: &Schema, id: TypeId) -> &'static Message {
    static ALL: OnceLock<Box<[OnceLock<Message>]>> = OnceLock::new();
    static UNKNOWN: OnceLock<Message> = OnceLock::new();
    let all = ALL.get_or_init(|| {
        std::iter::repeat_with(OnceLock::new)
            .take(Schema::builtin().type_count())
            .collect()
    });
    let place = all.get(usize::from(id.0));
    place.unwrap_or(&UNKNOWN).get_or_init(|| {
        let mut message = Message::default();
        message.sections.push(Section { parent: 0, tag: 0 });
        message.collect(schema, id, 0);
        message.order = in_order(&message);
        message
    })
}
