//! Runs templates.

use serde_json::Value;

use super::{Command, Node, Operand, Pipe, Place, Template, What, functions, print};

/// How deep templates may call each other.
const DEPTH: usize = 500;
/// The longest text that is made.
const LIMIT: usize = 256 << 20;
/// Most bytes of texts that functions make and variables keep on the way.
const MADE: usize = 64 << 20;

/// A value of a template.
#[derive(Clone, Debug)]
pub enum Item<'a> {
    /// Of the object.
    Of(&'a Value),
    /// Made by the template.
    Own(Value),
    /// No such key.
    Missing,
}

impl Item<'_> {
    /// The value; a missing one is null.
    pub fn value(&self) -> &Value {
        match self {
            Item::Of(value) => value,
            Item::Own(value) => value,
            Item::Missing => &Value::Null,
        }
    }

    /// What Go's templates take for true.
    pub fn truth(&self) -> bool {
        match self.value() {
            Value::Null => false,
            Value::Bool(own) => *own,
            Value::Number(number) => number.as_f64() != Some(0.0),
            Value::String(text) => !text.is_empty(),
            Value::Array(items) => !items.is_empty(),
            Value::Object(map) => !map.is_empty(),
        }
    }
}

/// Why a list of nodes came to its end.
#[derive(PartialEq)]
enum Flow {
    On,
    Break,
    Continue,
}

/// Writes what a template makes of an object.
pub fn run(template: &Template, object: &Value, out: &mut String) -> Result<(), String> {
    let mut state = State {
        template,
        name: "output",
        variables: vec![("$".to_owned(), Item::Of(object))],
        depth: 0,
        made: 0,
        out,
    };
    state.list(&template.body, &Item::Of(object)).map(drop)
}

struct State<'a, 'o> {
    template: &'a Template,
    name: &'a str,
    variables: Vec<(String, Item<'a>)>,
    depth: usize,
    /// Bytes of the texts that functions have made and variables have kept.
    made: usize,
    out: &'o mut String,
}

type Result2<T> = Result<T, String>;

impl<'a> State<'a, '_> {
    fn fail<T>(&self, place: &Place, why: impl std::fmt::Display) -> Result2<T> {
        Err(format!(
            "template: output:{}:{}: executing {:?} at <{}>: {why}",
            place.line, place.column, self.name, place.text
        ))
    }

    /// Counts a text that was made: a few words can double it again and again.
    fn count(&mut self, made: &Item<'a>) {
        if let Item::Own(Value::String(text)) = made {
            self.made += text.len();
        }
    }

    fn list(&mut self, nodes: &'a [Node], dot: &Item<'a>) -> Result2<Flow> {
        for node in nodes {
            if self.out.len() > LIMIT || self.made > MADE {
                return Err("the text is too long".to_owned());
            }
            let flow = self.node(node, dot)?;
            if flow != Flow::On {
                return Ok(flow);
            }
        }
        Ok(Flow::On)
    }

    fn node(&mut self, node: &'a Node, dot: &Item<'a>) -> Result2<Flow> {
        match node {
            Node::Text(text) => self.out.push_str(text),
            Node::Action(pipe) => {
                let value = self.pipe(pipe, dot)?;
                if pipe.variables.is_empty() {
                    self.out.push_str(&match value.value() {
                        Value::Null => "<no value>".to_owned(),
                        value => print::value(value),
                    });
                }
            }
            Node::If(pipe, body, otherwise) | Node::With(pipe, body, otherwise) => {
                let visible = self.variables.len();
                let value = self.pipe(pipe, dot)?;
                let with = matches!(node, Node::With(..));
                let flow = match (value.truth(), with) {
                    (true, true) => self.list(body, &value)?,
                    (true, false) => self.list(body, dot)?,
                    (false, _) => self.list(otherwise, dot)?,
                };
                self.variables.truncate(visible);
                return Ok(flow);
            }
            Node::Range(pipe, body, otherwise) => return self.range(pipe, body, otherwise, dot),
            Node::Call(place, name, pipe) => self.call(place, name, pipe.as_ref(), dot)?,
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::On)
    }

    fn call(
        &mut self,
        place: &Place,
        name: &'a str,
        pipe: Option<&'a Pipe>,
        dot: &Item<'a>,
    ) -> Result2<()> {
        let Some(nodes) = self.template.defined.get(name) else {
            return self.fail(place, format_args!("template {name:?} not defined"));
        };
        if self.depth >= DEPTH {
            return self.fail(
                place,
                format_args!("exceeded maximum template depth ({DEPTH})"),
            );
        }
        let dot = match pipe {
            Some(pipe) => self.pipe(pipe, dot)?,
            None => Item::Missing,
        };
        let outside = std::mem::replace(&mut self.variables, vec![("$".to_owned(), dot.clone())]);
        let caller = std::mem::replace(&mut self.name, name);
        self.depth += 1;
        self.list(nodes, &dot)?;
        self.depth -= 1;
        self.name = caller;
        self.variables = outside;
        Ok(())
    }

    fn range(
        &mut self,
        pipe: &'a Pipe,
        body: &'a [Node],
        otherwise: &'a [Node],
        dot: &Item<'a>,
    ) -> Result2<Flow> {
        let visible = self.variables.len();
        let value = self.value_of(pipe, dot)?;
        let entries = match self.entries(&value) {
            Ok(entries) => entries,
            Err(why) => return self.fail(&pipe.commands[0].place, why),
        };
        let mut flow = Flow::On;
        if entries.is_empty() {
            flow = self.list(otherwise, dot)?;
        }
        for (key, item) in entries {
            let inner = self.variables.len();
            let named = |key: Item<'a>, item: &Item<'a>| match pipe.variables.len() {
                2 => vec![key, item.clone()],
                _ => vec![item.clone()],
            };
            let values = named(key, &item);
            for (name, value) in pipe.variables.iter().zip(values) {
                self.set(name, value, pipe.assigns);
            }
            let done = self.list(body, &item)?;
            self.variables.truncate(inner);
            if done == Flow::Break {
                break;
            }
        }
        self.variables.truncate(visible);
        Ok(flow)
    }

    /// What is ranged over, with keys or places.
    fn entries(&self, value: &Item<'a>) -> Result2<Vec<(Item<'a>, Item<'a>)>> {
        let place = |index: usize| Item::Own(Value::from(index));
        let key = |key: &String| Item::Own(Value::from(key.as_str()));
        Ok(match value {
            Item::Missing | Item::Of(Value::Null) | Item::Own(Value::Null) => Vec::new(),
            Item::Of(Value::Array(items)) => {
                let items = items.iter().enumerate();
                items
                    .map(|(index, item)| (place(index), Item::Of(item)))
                    .collect()
            }
            Item::Own(Value::Array(items)) => {
                let items = items.iter().enumerate();
                items
                    .map(|(index, item)| (place(index), Item::Own(item.clone())))
                    .collect()
            }
            Item::Of(Value::Object(map)) => map
                .iter()
                .map(|(name, item)| (key(name), Item::Of(item)))
                .collect(),
            Item::Own(Value::Object(map)) => map
                .iter()
                .map(|(name, item)| (key(name), Item::Own(item.clone())))
                .collect(),
            other => match other.value().as_u64() {
                Some(count) if count <= 1 << 20 => (0..count)
                    .map(|own| (Item::Own(own.into()), Item::Own(own.into())))
                    .collect(),
                _ => {
                    return Err(format!(
                        "range can't iterate over {}",
                        print::value(other.value())
                    ));
                }
            },
        })
    }

    fn set(&mut self, name: &str, value: Item<'a>, assigns: bool) {
        let known = self.variables.iter_mut().rev().find(|(own, _)| own == name);
        match known {
            Some((_, own)) if assigns => *own = value,
            _ => self.variables.push((name.to_owned(), value)),
        }
    }

    fn pipe(&mut self, pipe: &'a Pipe, dot: &Item<'a>) -> Result2<Item<'a>> {
        let value = self.value_of(pipe, dot)?;
        for name in &pipe.variables {
            self.count(&value);
            self.set(name, value.clone(), pipe.assigns);
        }
        Ok(value)
    }

    fn value_of(&mut self, pipe: &'a Pipe, dot: &Item<'a>) -> Result2<Item<'a>> {
        let mut last = None;
        for command in &pipe.commands {
            last = Some(self.command(command, dot, last)?);
        }
        Ok(last.unwrap_or(Item::Missing))
    }

    fn command(
        &mut self,
        command: &'a Command,
        dot: &Item<'a>,
        last: Option<Item<'a>>,
    ) -> Result2<Item<'a>> {
        let first = &command.words[0];
        let What::Function(name) = &first.what else {
            if command.words.len() > 1 || last.is_some() {
                if !first.fields.is_empty() {
                    let field = first.fields.last().map(String::as_str).unwrap_or_default();
                    return self.fail(
                        &first.place,
                        format_args!("{field} is not a method but has arguments"),
                    );
                }
                let text = &first.place.text;
                return self.fail(
                    &first.place,
                    format_args!("can't give argument to non-function {text}"),
                );
            }
            if first.what == What::Nil {
                return self.fail(&first.place, "nil is not a command");
            }
            return self.operand(first, dot);
        };
        let mut arguments = Vec::new();
        for word in &command.words[1..] {
            let value = self.operand(word, dot)?;
            // `and` and `or` look no further than they must.
            let decided = matches!(
                (name.as_str(), value.truth()),
                ("and", false) | ("or", true)
            );
            arguments.push(value);
            if decided {
                return Ok(arguments.pop().unwrap_or(Item::Missing));
            }
        }
        arguments.extend(last);
        let result = match functions::call(name, arguments) {
            Ok(value) => value,
            Err(why) => return self.fail(&command.place, why),
        };
        self.count(&result);
        self.fields(first, result)
    }

    fn operand(&mut self, operand: &'a Operand, dot: &Item<'a>) -> Result2<Item<'a>> {
        let value = match &operand.what {
            What::Dot => dot.clone(),
            What::Nil => Item::Own(Value::Null),
            What::Literal(value) => Item::Of(value),
            What::Pipe(pipe) => self.pipe(pipe, dot)?,
            What::Variable(name) => {
                let known = self.variables.iter().rev().find(|(own, _)| own == name);
                known.map_or(Item::Missing, |(_, value)| value.clone())
            }
            What::Function(name) => match functions::call(name, Vec::new()) {
                Ok(value) => value,
                Err(why) => return self.fail(&operand.place, why),
            },
        };
        self.fields(operand, value)
    }

    fn fields(&self, operand: &Operand, mut value: Item<'a>) -> Result2<Item<'a>> {
        for name in &operand.fields {
            value = match value {
                Item::Missing if self.template.strict => {
                    let why = format_args!("nil data; no entry for key {name:?}");
                    return self.fail(&operand.place, why);
                }
                Item::Missing => Item::Missing,
                Item::Of(Value::Object(map)) => map.get(name).map_or(Item::Missing, Item::Of),
                Item::Own(Value::Object(mut map)) => {
                    map.remove(name).map_or(Item::Missing, Item::Own)
                }
                Item::Of(Value::Null) | Item::Own(Value::Null) => {
                    let why = format_args!("nil pointer evaluating interface {{}}.{name}");
                    return self.fail(&operand.place, why);
                }
                Item::Of(_) => {
                    let why = format_args!("can't evaluate field {name} in type interface {{}}");
                    return self.fail(&operand.place, why);
                }
                Item::Own(other) => {
                    let kind = functions::kind(&other);
                    let why = format_args!("can't evaluate field {name} in type {kind}");
                    return self.fail(&operand.place, why);
                }
            };
            if self.template.strict && matches!(value, Item::Missing) {
                return self.fail(
                    &operand.place,
                    format_args!("map has no entry for key {name:?}"),
                );
            }
        }
        Ok(value)
    }
}
