//! Reads the tokens of a template.

use std::collections::BTreeMap;

use serde_json::Value;

use super::functions;
use super::lex::{self, Placed, Token};
use super::{Command, Node, Operand, Pipe, Place, What};

/// How deep actions and parentheses may be nested.
const DEPTH: usize = 200;

/// The body of a template, and the templates that it defines.
type Parsed = (Vec<Node>, BTreeMap<String, Vec<Node>>);

/// The line of an error, and what it says.
type Fault = (usize, String);

type Result<T> = std::result::Result<T, String>;

/// Reads a template.
pub fn template(source: &str) -> std::result::Result<Parsed, Fault> {
    let line = |at: usize| source[..at.min(source.len())].matches('\n').count() + 1;
    let tokens = lex::tokens(source).map_err(|(at, why)| (line(at), why))?;
    let mut parser = Parser {
        source,
        tokens,
        next: 0,
        variables: vec!["$".to_owned()],
        defined: BTreeMap::new(),
        depth: 0,
        loops: 0,
    };
    let parsed = parser.list().and_then(|(nodes, end)| match end {
        Stop::Eof => Ok(nodes),
        Stop::Else(_) => Err("unexpected {{else}}".to_owned()),
        Stop::End => Err("unexpected {{end}}".to_owned()),
    });
    match parsed {
        Ok(nodes) => Ok((nodes, parser.defined)),
        Err(why) => {
            let at = parser.tokens.get(parser.next.saturating_sub(1));
            Err((line(at.map_or(source.len(), |(at, _)| *at)), why))
        }
    }
}

/// What a list of nodes ends with.
enum Stop {
    Eof,
    End,
    /// The pipe and keyword of an `else if` or `else with`.
    Else(Option<String>),
}

struct Parser<'a> {
    source: &'a str,
    tokens: Vec<Placed>,
    next: usize,
    variables: Vec<String>,
    defined: BTreeMap<String, Vec<Node>>,
    depth: usize,
    loops: usize,
}

impl Parser<'_> {
    fn take(&mut self) -> Option<Placed> {
        let token = self.tokens.get(self.next).cloned();
        self.next += 1;
        token
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|(_, token)| token)
    }

    fn skip_blanks(&mut self) {
        while self.peek() == Some(&Token::Blank) {
            self.next += 1;
        }
    }

    fn here(&self) -> usize {
        self.tokens
            .get(self.next)
            .map_or(self.source.len(), |(at, _)| *at)
    }

    fn place(&self, at: usize, text: &str) -> Place {
        let before = &self.source[..at.min(self.source.len())];
        let line_start = before.rfind('\n').map_or(0, |index| index + 1);
        Place {
            line: before.matches('\n').count() + 1,
            column: before.len() - line_start,
            text: text.to_owned(),
        }
    }

    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth >= DEPTH {
            return Err("the template is nested too deeply".to_owned());
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn list(&mut self) -> Result<(Vec<Node>, Stop)> {
        let mut nodes = Vec::new();
        while let Some((_, token)) = self.take() {
            match token {
                Token::Text(text) => nodes.push(Node::Text(text)),
                Token::Open => match self.action()? {
                    Action::Node(node) => nodes.push(node),
                    Action::Nothing => {}
                    Action::End(end) => return Ok((nodes, end)),
                },
                _ => return Err("unexpected token in input".to_owned()),
            }
        }
        Ok((nodes, Stop::Eof))
    }

    fn action(&mut self) -> Result<Action> {
        self.skip_blanks();
        let keyword = match self.peek() {
            Some(Token::Word(word)) => word.clone(),
            _ => String::new(),
        };
        match keyword.as_str() {
            "end" => {
                self.next += 1;
                self.close("end")?;
                Ok(Action::End(Stop::End))
            }
            "else" => {
                self.next += 1;
                self.skip_blanks();
                match self.peek() {
                    Some(Token::Word(word)) if matches!(word.as_str(), "if" | "with") => {
                        Ok(Action::End(Stop::Else(Some(word.clone()))))
                    }
                    _ => {
                        self.close("else")?;
                        Ok(Action::End(Stop::Else(None)))
                    }
                }
            }
            "if" | "with" | "range" => {
                self.next += 1;
                self.deeper(|own| own.control(&keyword)).map(Action::Node)
            }
            "template" => {
                self.next += 1;
                self.call().map(Action::Node)
            }
            "define" => {
                self.next += 1;
                self.define()?;
                Ok(Action::Nothing)
            }
            "block" => {
                self.next += 1;
                self.block().map(Action::Node)
            }
            "break" | "continue" => {
                self.next += 1;
                if self.loops == 0 {
                    return Err(format!("{{{{{keyword}}}}} outside {{{{range}}}}"));
                }
                self.close(&keyword)?;
                let ends = keyword == "break";
                Ok(Action::Node(if ends {
                    Node::Break
                } else {
                    Node::Continue
                }))
            }
            _ => Ok(Action::Node(Node::Action(self.pipe("command", false)?))),
        }
    }

    fn close(&mut self, context: &str) -> Result<()> {
        self.skip_blanks();
        match self.take() {
            Some((_, Token::Close)) => Ok(()),
            Some((at, _)) => Err(format!("unexpected {} in {context}", self.shown(at))),
            None => Err("unexpected EOF".to_owned()),
        }
    }

    /// A token as errors show it.
    fn shown(&self, at: usize) -> String {
        let rest = &self.source[at..];
        let end = rest.find([' ', '\n', '}']).unwrap_or(rest.len()).max(1);
        let end = (end..=rest.len()).find(|end| rest.is_char_boundary(*end));
        format!("<{}>", &rest[..end.unwrap_or(rest.len())])
    }

    fn control(&mut self, keyword: &str) -> Result<Node> {
        let visible = self.variables.len();
        let pipe = self.pipe(keyword, keyword == "range")?;
        self.loops += usize::from(keyword == "range");
        let body = self.list();
        self.loops -= usize::from(keyword == "range");
        let (body, end) = body?;
        let otherwise = match end {
            Stop::Eof => return Err("unexpected EOF".to_owned()),
            Stop::End => Vec::new(),
            Stop::Else(None) => {
                let (nodes, end) = self.list()?;
                match end {
                    Stop::End => nodes,
                    Stop::Eof => return Err("unexpected EOF".to_owned()),
                    Stop::Else(_) => return Err("expected end; found {{else}}".to_owned()),
                }
            }
            Stop::Else(Some(next)) => {
                if keyword == "range" || next != keyword {
                    return Err(format!("unexpected <{next}> in else"));
                }
                self.next += 1;
                vec![self.deeper(|own| own.control(&next))?]
            }
        };
        self.variables.truncate(visible);
        Ok(match keyword {
            "if" => Node::If(pipe, body, otherwise),
            "with" => Node::With(pipe, body, otherwise),
            _ => Node::Range(pipe, body, otherwise),
        })
    }

    fn name(&mut self, context: &str) -> Result<(usize, String)> {
        self.skip_blanks();
        match self.take() {
            Some((at, Token::Quoted(_, name))) => Ok((at, name)),
            Some((at, _)) => Err(format!("unexpected {} in {context}", self.shown(at))),
            None => Err("unexpected EOF".to_owned()),
        }
    }

    fn call(&mut self) -> Result<Node> {
        let (at, name) = self.name("template clause")?;
        self.skip_blanks();
        let pipe = match self.peek() {
            Some(Token::Close) => {
                self.next += 1;
                None
            }
            _ => Some(self.pipe("template clause", false)?),
        };
        let place = self.place(at, &format!("{{{{template {name:?}}}}}"));
        Ok(Node::Call(place, name, pipe))
    }

    /// The nodes up to `{{end}}`, in which no variable of the outside is seen.
    fn apart(&mut self, context: &str) -> Result<Vec<Node>> {
        let outside = std::mem::replace(&mut self.variables, vec!["$".to_owned()]);
        let loops = std::mem::take(&mut self.loops);
        let inner = self.deeper(Self::list);
        self.variables = outside;
        self.loops = loops;
        match inner? {
            (nodes, Stop::End) => Ok(nodes),
            (_, Stop::Else(_)) => Err(format!("unexpected {{{{else}}}} in {context}")),
            (_, Stop::Eof) => Err("unexpected EOF".to_owned()),
        }
    }

    fn define(&mut self) -> Result<()> {
        let (_, name) = self.name("define clause")?;
        self.close("define clause")?;
        let nodes = self.apart("define clause")?;
        self.defined.insert(name, nodes);
        Ok(())
    }

    fn block(&mut self) -> Result<Node> {
        let (at, name) = self.name("block clause")?;
        let pipe = self.pipe("block clause", false)?;
        let nodes = self.apart("block clause")?;
        self.defined.entry(name.clone()).or_insert(nodes);
        let place = self.place(at, &format!("{{{{template {name:?}}}}}"));
        Ok(Node::Call(place, name, Some(pipe)))
    }

    /// A pipe up to the end of its action.
    fn pipe(&mut self, context: &str, range: bool) -> Result<Pipe> {
        let pipe = self.commands(context, range)?;
        match self.take() {
            Some((_, Token::Close)) => Ok(pipe),
            Some((at, _)) => Err(format!("unexpected {} in {context}", self.shown(at))),
            None => Err("unexpected EOF".to_owned()),
        }
    }

    fn declaration(&mut self, range: bool) -> Result<(Vec<String>, bool)> {
        let start = self.next;
        let mut names = Vec::new();
        loop {
            self.skip_blanks();
            match self.take() {
                Some((_, Token::Variable(name))) => names.push(name),
                _ => break,
            }
            self.skip_blanks();
            match self.take() {
                Some((_, Token::Sign(","))) if range && names.len() < 2 => {}
                Some((_, Token::Sign(":="))) => {
                    self.variables.extend(names.iter().cloned());
                    return Ok((names, false));
                }
                Some((_, Token::Sign("="))) => return Ok((names, true)),
                Some((_, Token::Sign(","))) => {
                    return Err("too many declarations in command".to_owned());
                }
                _ => break,
            }
        }
        self.next = start;
        Ok((Vec::new(), false))
    }

    fn commands(&mut self, context: &str, range: bool) -> Result<Pipe> {
        let (variables, assigns) = self.declaration(range)?;
        let mut commands: Vec<Command> = Vec::new();
        loop {
            self.skip_blanks();
            match self.peek() {
                Some(Token::Close | Token::Sign(")")) => break,
                Some(Token::Sign("|")) if !commands.is_empty() => self.next += 1,
                None => return Err("unexpected EOF".to_owned()),
                _ => {}
            }
            let command = self.command()?;
            let callable = matches!(&command.words[0].what, What::Function(_));
            if !commands.is_empty() && !callable && command.words[0].fields.is_empty() {
                let kind = match &command.words[0].what {
                    What::Literal(Value::String(_)) => "string",
                    What::Literal(Value::Bool(_)) => "bool",
                    What::Literal(_) => "number",
                    What::Nil => "nil",
                    What::Dot => "dot",
                    _ => "",
                };
                if !kind.is_empty() {
                    let stage = commands.len() + 1;
                    let text = &command.place.text;
                    return Err(format!(
                        "non executable command in pipeline stage {stage}: {text:?} ({kind})"
                    ));
                }
            }
            commands.push(command);
        }
        if commands.is_empty() {
            return Err(format!("missing value for {context}"));
        }
        Ok(Pipe {
            variables,
            assigns,
            commands,
        })
    }

    fn command(&mut self) -> Result<Command> {
        self.skip_blanks();
        let start = self.here();
        let mut words = Vec::new();
        let mut end = start;
        loop {
            self.skip_blanks();
            match self.peek() {
                None | Some(Token::Close | Token::Sign("|" | ")")) => break,
                _ => {}
            }
            words.push(self.operand()?);
            end = self.here();
            match self.peek() {
                None | Some(Token::Blank | Token::Close | Token::Sign("|" | ")")) => {}
                Some(_) => return Err(format!("unexpected {} in operand", self.shown(end))),
            }
        }
        if words.is_empty() {
            return Err("empty command".to_owned());
        }
        let text = self.source[start..end].trim_end().to_owned();
        let place = Place {
            text,
            ..words[0].place.clone()
        };
        Ok(Command { place, words })
    }

    fn operand(&mut self) -> Result<Operand> {
        let start = self.here();
        let Some((at, token)) = self.take() else {
            return Err("unexpected EOF".to_owned());
        };
        let mut fields = Vec::new();
        let mut chains = true;
        let what = match token {
            Token::Field(name) => {
                fields.push(name);
                What::Dot
            }
            Token::Dot => What::Dot,
            Token::Variable(name) => {
                if !self.variables.contains(&name) {
                    return Err(format!("undefined variable {name:?}"));
                }
                What::Variable(name)
            }
            Token::Quoted(_, text) => {
                chains = false;
                What::Literal(Value::from(text))
            }
            Token::Number(text) => {
                chains = false;
                What::Literal(number(&text)?)
            }
            Token::Word(word) => match word.as_str() {
                "true" | "false" => What::Literal(Value::Bool(word == "true")),
                "nil" => What::Nil,
                name if functions::known(name) => What::Function(word),
                name => return Err(format!("function {name:?} not defined")),
            },
            Token::Sign("(") => {
                let pipe = self.deeper(|own| own.commands("parenthesized pipeline", false))?;
                match self.take() {
                    Some((_, Token::Sign(")"))) => What::Pipe(Box::new(pipe)),
                    _ => return Err("unclosed left paren".to_owned()),
                }
            }
            _ => return Err(format!("unexpected {} in operand", self.shown(at))),
        };
        let mut stands = start;
        while let Some(Token::Field(name)) = self.peek() {
            if !chains {
                return Err(format!(
                    "unexpected . after term {:?}",
                    &self.source[start..self.here()]
                ));
            }
            fields.push(name.clone());
            if stands == start {
                stands = self.here();
            }
            self.next += 1;
        }
        let text = self.source[start..self.here()].to_owned();
        let place = self.place(stands, &text);
        Ok(Operand {
            place,
            what,
            fields,
        })
    }
}

enum Action {
    Node(Node),
    Nothing,
    End(Stop),
}

fn number(text: &str) -> Result<Value> {
    let plain = text.replace('_', "");
    let (negative, digits) = match plain.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, plain.strip_prefix('+').unwrap_or(&plain)),
    };
    let whole = match digits.get(..2) {
        Some("0x" | "0X") => i64::from_str_radix(&digits[2..], 16).ok(),
        Some("0b" | "0B") => i64::from_str_radix(&digits[2..], 2).ok(),
        Some("0o" | "0O") => i64::from_str_radix(&digits[2..], 8).ok(),
        _ => digits.parse().ok(),
    };
    let signed = |whole: i64| match negative {
        true => whole.checked_neg(),
        false => Some(whole),
    };
    if let Some(whole) = whole.and_then(signed) {
        return Ok(Value::from(whole));
    }
    let float = plain.parse::<f64>().ok().filter(|own| own.is_finite());
    float
        .filter(|_| digits.starts_with(|c: char| c.is_ascii_digit() || c == '.'))
        .map(Value::from)
        .ok_or_else(|| format!("bad number syntax: {text:?}"))
}
