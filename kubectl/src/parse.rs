//! Reads the command line, and words what is wrong with it as upstream does.

use std::time::Duration;

use clap::builder::ArgAction;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command, CommandFactory, FromArgMatches};

use crate::args::Cli;

/// Why there is no command line to run.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What to print.
    pub text: String,
    /// It was asked for: it goes to standard output, and the exit code is 0.
    pub wanted: bool,
}

/// Reads a command line, the program's name included.
pub fn parse(words: &[String]) -> Result<Cli, Refusal> {
    let mut command = lenient(Cli::command());
    let matches = command.try_get_matches_from_mut(words);
    matches
        .and_then(|matches| Cli::from_arg_matches(&matches))
        .map_err(|error| refusal(&error, &command, words))
}

/// All commands with their flags.
pub fn command() -> Command {
    lenient(Cli::command())
}

/// Go's flags: the last of several counts, a value may begin with a hyphen, and every switch
/// takes `=true` and `=false`.
fn lenient(command: Command) -> Command {
    command
        .args_override_self(true)
        .disable_help_subcommand(true)
        .mut_args(lenient_flag)
        .mut_subcommands(lenient)
}

fn lenient_flag(flag: Arg) -> Arg {
    if flag.is_positional() {
        return flag;
    }
    match flag.get_action() {
        ArgAction::SetTrue => flag
            .action(ArgAction::Set)
            .num_args(0..=1)
            .require_equals(true)
            .default_value("false")
            .default_missing_value("true")
            .value_parser(boolean),
        ArgAction::Set | ArgAction::Append if !flag.is_require_equals_set() => {
            flag.allow_hyphen_values(true)
        }
        _ => flag,
    }
}

/// A switch's value, as Go reads it.
pub fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        other => Err(format!(
            "strconv.ParseBool: parsing {other:?}: invalid syntax"
        )),
    }
}

/// A duration as Go writes it: `1h2m3s`, `500ms`; a bare number is an error, but for 0.
pub fn duration(text: &str) -> Result<Duration, String> {
    Ok(Duration::try_from_secs_f64(signed_duration(text)?).unwrap_or_default())
}

/// The value of `--request-timeout`: a duration, or a whole number of seconds.
pub fn request_timeout(text: &str) -> Result<Duration, String> {
    match text.parse::<u64>() {
        Ok(seconds) => Ok(Duration::from_secs(seconds)),
        Err(_) => duration(text),
    }
}

/// The same in seconds; it may be negative.
pub fn signed_duration(text: &str) -> Result<f64, String> {
    let duration = ferrule_apimachinery::duration::parse_signed(text);
    let duration = duration.map_err(|error| error.to_string())?;
    Ok(duration.as_secs_f64())
}

/// A command line as `--record` keeps it: the program, its arguments, then its flags with their
/// values.
pub fn change_cause(words: &[String]) -> String {
    let root = lenient(Cli::command());
    let mut current = &root;
    let (mut arguments, mut flags) = (Vec::new(), Vec::new());
    let mut rest = words.iter().skip(1);
    while let Some(word) = rest.next() {
        if word == "--" {
            arguments.extend(rest.by_ref().map(String::as_str));
            break;
        }
        let Some(flag) = word.strip_prefix('-').filter(|flag| !flag.is_empty()) else {
            current = current.find_subcommand(word).unwrap_or(current);
            arguments.push(word);
            continue;
        };
        let known = |fits: &dyn Fn(&Arg) -> bool| {
            let mut all = current.get_arguments().chain(root.get_arguments());
            all.find(|own| fits(own))
        };
        let mut keep = |flag: Option<&Arg>, name: &str, given: Option<&str>| {
            let switch = flag.is_some_and(Arg::is_require_equals_set);
            let long = flag.and_then(Arg::get_long).unwrap_or(name);
            let value = match given {
                Some(value) => value,
                None if switch => "true",
                None => rest.next().map_or("", String::as_str),
            };
            flags.push(format!(" --{long}={value}"));
        };
        if let Some(long) = flag.strip_prefix('-') {
            let (name, given) = match long.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (long, None),
            };
            keep(known(&|own| own.get_long() == Some(name)), name, given);
            continue;
        }
        // Switches may stand together; the value of another flag may follow it without a blank.
        for (place, letter) in flag.char_indices() {
            let own = known(&|own| own.get_short() == Some(letter));
            let behind = &flag[place + letter.len_utf8()..];
            let switch = own.is_some_and(Arg::is_require_equals_set);
            let given = match behind.strip_prefix('=') {
                Some(value) => Some(value),
                None => Some(behind).filter(|_| !switch && !behind.is_empty()),
            };
            keep(own, &letter.to_string(), given);
            if given.is_some() {
                break;
            }
        }
    }
    let program = words.first().map(String::as_str).unwrap_or_default();
    let program = program.rsplit('/').next().unwrap_or_default();
    format!("{program} {}{}", arguments.join(" "), flags.concat())
}

/// The words of the command that failed, and the command: `kubectl rollout`, ….
fn failed<'a>(command: &'a Command, words: &[String]) -> (String, &'a Command) {
    let (mut path, mut current) = (command.get_name().to_owned(), command);
    for word in words.iter().skip(1).take_while(|word| *word != "--") {
        if let Some(next) = current.find_subcommand(word) {
            path = format!("{path} {}", next.get_name());
            current = next;
        }
    }
    (path, current)
}

fn refusal(error: &clap::Error, command: &Command, words: &[String]) -> Refusal {
    if !error.use_stderr() {
        let text = error.to_string();
        return Refusal { text, wanted: true };
    }
    let (path, current) = failed(command, words);
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.as_str(),
        _ => "",
    };
    let usage = |text: String| format!("error: {text}\nSee '{path} --help' for usage.");
    let unexpected = |text: String| format!("error: {text}\nSee '{path} -h' for help and examples");
    let text = match error.kind() {
        ErrorKind::UnknownArgument => match context(ContextKind::InvalidArg) {
            flag if flag.starts_with("--") => {
                let name = flag.split('=').next().unwrap_or(flag);
                usage(format!("unknown flag: {name}"))
            }
            flag if flag.starts_with('-') && flag.len() > 1 => usage(shorthand(flag, words)),
            word if current.has_subcommands() => unknown(word, &path, current),
            word => unexpected(format!("unexpected arguments: [{word}]")),
        },
        ErrorKind::ArgumentConflict if matches!(current.get_name(), "apply" | "create") => {
            let text = error.to_string();
            let word = text.split('\'').nth(1).unwrap_or_default();
            unexpected(format!("Unexpected args: [{word}]"))
        }
        ErrorKind::InvalidSubcommand => {
            unknown(context(ContextKind::InvalidSubcommand), &path, current)
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation
            if context(ContextKind::InvalidArg).starts_with("--dry-run") =>
        {
            format!(
                "error: Invalid dry-run value ({}). Must be \"none\", \"server\", or \"client\".",
                context(ContextKind::InvalidValue)
            )
        }
        ErrorKind::InvalidValue if context(ContextKind::InvalidValue).is_empty() => {
            usage(missing(context(ContextKind::InvalidArg), words))
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            usage(invalid_value(error, current))
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => error.to_string(),
        _ => error.to_string().trim_end().to_owned(),
    };
    let wanted = false;
    Refusal { text, wanted }
}

fn shorthand(flag: &str, words: &[String]) -> String {
    let letter = flag.chars().nth(1).unwrap_or_default();
    let cluster = words
        .iter()
        .find(|word| word.starts_with('-') && !word.starts_with("--") && word.contains(letter));
    let cluster = cluster.map_or(flag, String::as_str);
    format!("unknown shorthand flag: '{letter}' in {cluster}")
}

/// A command that does not exist, with those that are spelled nearly like it.
fn unknown(word: &str, path: &str, command: &Command) -> String {
    match path {
        "kubectl" => {}
        "kubectl create" | "kubectl apply" => {
            return format!(
                "error: Unexpected args: [{word}]\nSee '{path} -h' for help and examples"
            );
        }
        _ => {
            return format!(
                "error: unknown command {word:?}\nSee '{path} -h' for help and examples"
            );
        }
    }
    let mut text = format!("error: unknown command {word:?} for \"kubectl\"");
    let near: Vec<&str> = command
        .get_subcommands()
        .map(Command::get_name)
        .filter(|name| distance(word, name) <= 2 || name.starts_with(word))
        .collect();
    if !near.is_empty() {
        text.push_str("\n\nDid you mean this?\n");
        for name in near {
            text.push_str(&format!("\t{name}\n"));
        }
    }
    text
}

/// Levenshtein's distance, without regard to case.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.to_lowercase().chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let substituted = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[other.len()]
}

/// `--replicas` of `--replicas <COUNT>` or `--replicas[=<COUNT>]`.
fn long_name(shown: &str) -> &str {
    let end = shown.find([' ', '[', '=']).unwrap_or(shown.len());
    &shown[..end]
}

fn missing(shown: &str, words: &[String]) -> String {
    let last = words.last().map(String::as_str).unwrap_or_default();
    if last.starts_with('-') && !last.starts_with("--") {
        let letter = last.chars().last().unwrap_or_default();
        return format!("flag needs an argument: '{letter}' in {last}");
    }
    format!("flag needs an argument: {}", long_name(shown))
}

fn invalid_value(error: &clap::Error, command: &Command) -> String {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.as_str(),
        _ => "",
    };
    let name = long_name(context(ContextKind::InvalidArg));
    let flag = command
        .get_arguments()
        .find(|flag| Some(name) == flag.get_long().map(|long| format!("--{long}")).as_deref());
    let shown = match flag.and_then(Arg::get_short) {
        Some(short) => format!("-{short}, {name}"),
        None => name.to_owned(),
    };
    let value = context(ContextKind::InvalidValue);
    // Numbers are the only values that this program reads by clap's own parsers.
    let why = match std::error::Error::source(error).map(ToString::to_string) {
        Some(why) if why.contains(": ") => why,
        _ => format!("strconv.ParseInt: parsing {value:?}: invalid syntax"),
    };
    format!("invalid argument {value:?} for {shown:?} flag: {why}")
}
