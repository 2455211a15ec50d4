//! What was printed, beside what shall be.

use std::fmt::Write;
use std::fs;
use std::thread;

use anyhow::{anyhow, bail};

use crate::player::{Player, shown};
use crate::releases::{SPOKEN, said_by, without_old};
use crate::transcript::{Said, Step, Transcript};

/// The answers of both kubectls.
type Answers = (Vec<Said>, Option<Vec<Said>>);

/// What a kubectl shall print.
fn wanted(player: &Player, step: &Step) -> Said {
    said_by(player.minor.unwrap_or(SPOKEN), &step.said)
}

fn answers_of(player: &Player, transcript: &Transcript) -> anyhow::Result<Vec<Said>> {
    let said = player.play(transcript, |step| wanted(player, step))?;
    let minor = player.minor.unwrap_or(SPOKEN);
    Ok(said
        .into_iter()
        .map(|own| without_old(minor, own))
        .collect())
}

fn answers(
    transcript: &Transcript,
    ours: &Player,
    upstream: Option<&Player>,
) -> anyhow::Result<Answers> {
    let Some(upstream) = upstream else {
        return Ok((answers_of(ours, transcript)?, None));
    };
    if transcript.in_turn {
        let own = answers_of(ours, transcript)?;
        return Ok((own, Some(answers_of(upstream, transcript)?)));
    }
    thread::scope(|scope| {
        let their = scope.spawn(|| answers_of(upstream, transcript));
        let own = answers_of(ours, transcript)?;
        let their = their
            .join()
            .map_err(|_| anyhow!("upstream's player panicked"))??;
        Ok((own, Some(their)))
    })
}

/// Plays a transcript; fails with each step that goes otherwise than it is written.
pub fn play(
    transcript: &Transcript,
    ours: &Player,
    upstream: Option<&Player>,
) -> anyhow::Result<()> {
    let (own, their) = answers(transcript, ours, upstream)?;
    let mut found = differences(transcript, ours, &own);
    if let (Some(upstream), Some(their)) = (upstream, &their) {
        found.push_str(&differences(transcript, upstream, their));
    }
    if found.is_empty() {
        return Ok(());
    }
    bail!("{found}")
}

/// The steps that went otherwise than they are written.
fn differences(transcript: &Transcript, player: &Player, answers: &[Said]) -> String {
    let mut text = String::new();
    for (step, said) in transcript.steps.iter().zip(answers) {
        let wanted = wanted(player, step);
        if player.judges(step) && *said != wanted {
            let _ = writeln!(
                text,
                "{}:{}: {}\n{} says:\n{said}instead of:\n{wanted}",
                shown(&transcript.path),
                step.line,
                step.command,
                player.whose,
            );
        }
    }
    text
}

/// Writes down what is printed: ours where upstream's kubectl agrees or cannot be asked, and
/// otherwise what upstream's says; then tells the differences. To be read before it is kept.
pub fn record(
    transcript: &Transcript,
    ours: &Player,
    upstream: Option<&Player>,
) -> anyhow::Result<()> {
    let (own, their) = answers(transcript, ours, upstream)?;
    let mut transcript = transcript.clone();
    for (index, step) in transcript.steps.iter_mut().enumerate() {
        step.said = own[index].clone();
        if let (Some(player), Some(their)) = (upstream, &their)
            && player.judges(step)
            && wanted(player, step) != their[index]
        {
            step.said = their[index].clone();
        }
    }
    let chosen: Vec<Said> = transcript
        .steps
        .iter()
        .map(|step| step.said.clone())
        .collect();
    fs::write(&transcript.path, transcript.with_answers(&chosen))?;
    let found = differences(&transcript, ours, &own);
    if found.is_empty() {
        return Ok(());
    }
    bail!("{found}")
}
