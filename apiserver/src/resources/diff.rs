//! The difference of two texts as upstream shows it in messages: unified hunks of the longest matching
//! blocks, as Python's difflib finds them.

use std::collections::HashMap;
use std::fmt::Write;
use std::ops::Range;

/// Unchanged lines around a change.
const CONTEXT: usize = 3;
/// From so many lines on, those that are everywhere say nothing about where they belong.
const MANY: usize = 200;

/// Lines of both texts that are the same.
#[derive(Clone, Copy)]
struct Block {
    old: usize,
    new: usize,
    length: usize,
}

/// Lines of the old text that became lines of the new one.
#[derive(Clone)]
struct Step {
    old: Range<usize>,
    new: Range<usize>,
    equal: bool,
}

/// The difference as unified hunks with three lines of context.
pub fn unified(old: &str, new: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (old.split('\n').collect(), new.split('\n').collect());
    let mut out = String::new();
    for hunk in hunks(steps(&blocks(&old, &new), old.len(), new.len())) {
        let (Some(first), Some(last)) = (hunk.first(), hunk.last()) else {
            continue;
        };
        let lines = |start, end| shown_range(start..end);
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "@@ -{} +{} @@",
            lines(first.old.start, last.old.end),
            lines(first.new.start, last.new.end)
        );
        for step in &hunk {
            let (mark, after) = match step.equal {
                true => (' ', 0..0),
                false => ('-', step.new.clone()),
            };
            for line in &old[step.old.clone()] {
                let _ = writeln!(out, "{mark}{line}");
            }
            for line in &new[after] {
                let _ = writeln!(out, "+{line}");
            }
        }
    }
    out
}

fn shown_range(range: Range<usize>) -> String {
    match range.len() {
        0 => format!("{},0", range.start),
        1 => format!("{}", range.start + 1),
        length => format!("{},{length}", range.start + 1),
    }
}

/// What both texts have in common, in order.
fn blocks(old: &[&str], new: &[&str]) -> Vec<Block> {
    let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
    for (at, line) in new.iter().enumerate() {
        places.entry(line).or_default().push(at);
    }
    if new.len() >= MANY {
        places.retain(|_, at| at.len() <= new.len() / 100 + 1);
    }
    let mut found = Vec::new();
    let mut waiting = vec![(0..old.len(), 0..new.len())];
    while let Some((a, b)) = waiting.pop() {
        let block = longest(old, new, &places, a.clone(), b.clone());
        if block.length > 0 {
            waiting.push((a.start..block.old, b.start..block.new));
            waiting.push((
                block.old + block.length..a.end,
                block.new + block.length..b.end,
            ));
            found.push(block);
        }
    }
    found.sort_by_key(|block| block.old);
    found
}

/// The longest common block within two ranges; of equally long ones the first.
fn longest(
    old: &[&str],
    new: &[&str],
    places: &HashMap<&str, Vec<usize>>,
    a: Range<usize>,
    b: Range<usize>,
) -> Block {
    let mut best = Block {
        old: a.start,
        new: b.start,
        length: 0,
    };
    // How long the common run is that ends at a line of the new text and the line before this one.
    let mut runs: HashMap<usize, usize> = HashMap::new();
    for i in a.clone() {
        let mut ending = HashMap::new();
        let at = places.get(old[i]).map(Vec::as_slice).unwrap_or_default();
        for j in at.iter().copied().filter(|j| b.contains(j)) {
            let before = j.checked_sub(1).and_then(|j| runs.get(&j));
            let length = before.copied().unwrap_or_default() + 1;
            ending.insert(j, length);
            if length > best.length {
                best = Block {
                    old: i + 1 - length,
                    new: j + 1 - length,
                    length,
                };
            }
        }
        runs = ending;
    }
    // Lines that are everywhere begin no block, but belong to one.
    while best.old > a.start && best.new > b.start && old[best.old - 1] == new[best.new - 1] {
        best.old -= 1;
        best.new -= 1;
        best.length += 1;
    }
    while best.old + best.length < a.end
        && best.new + best.length < b.end
        && old[best.old + best.length] == new[best.new + best.length]
    {
        best.length += 1;
    }
    best
}

/// The whole way from the old text to the new one.
fn steps(blocks: &[Block], old: usize, new: usize) -> Vec<Step> {
    let end = Block {
        old,
        new,
        length: 0,
    };
    let mut out: Vec<Step> = Vec::new();
    let (mut i, mut j) = (0, 0);
    for block in blocks.iter().chain([&end]) {
        if i < block.old || j < block.new {
            out.push(Step {
                old: i..block.old,
                new: j..block.new,
                equal: false,
            });
        }
        (i, j) = (block.old + block.length, block.new + block.length);
        match out.last_mut() {
            _ if block.length == 0 => {}
            // Neighbours are one.
            Some(last) if last.equal => {
                last.old.end = i;
                last.new.end = j;
            }
            _ => out.push(Step {
                old: block.old..i,
                new: block.new..j,
                equal: true,
            }),
        }
    }
    out
}

/// Changes that are close to each other, with the context around them.
fn hunks(mut steps: Vec<Step>) -> Vec<Vec<Step>> {
    let first_lines = |step: &Step| Step {
        old: step.old.start..step.old.end.min(step.old.start + CONTEXT),
        new: step.new.start..step.new.end.min(step.new.start + CONTEXT),
        equal: true,
    };
    let last_lines = |step: &Step| Step {
        old: step.old.start.max(step.old.end.saturating_sub(CONTEXT))..step.old.end,
        new: step.new.start.max(step.new.end.saturating_sub(CONTEXT))..step.new.end,
        equal: true,
    };
    if let Some(first) = steps.first_mut().filter(|first| first.equal) {
        *first = last_lines(first);
    }
    if let Some(last) = steps.last_mut().filter(|last| last.equal) {
        *last = first_lines(last);
    }
    let mut out = vec![Vec::new()];
    for step in steps {
        let split = step.equal && step.old.len() > 2 * CONTEXT;
        let Some(hunk) = out.last_mut() else { break };
        if split {
            hunk.push(first_lines(&step));
            out.push(vec![last_lines(&step)]);
        } else {
            hunk.push(step);
        }
    }
    out.retain(|hunk| hunk.iter().any(|step| !step.equal));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_common_lines_stay() {
        assert_eq!(
            unified("{\n a,\n b\n}", "{\n a,\n c\n}"),
            "@@ -1,4 +1,4 @@\n {\n  a,\n- b\n+ c\n }\n"
        );
        // What replaces what is told by the longest block, not by the shortest way.
        assert_eq!(
            unified(
                "x\nhost: null\ng: null\nnfs: {\n 1\n 2\n},\nr\ns\nt",
                "x\nhost: {\n 3\n 4\n},\ng: null\nnfs: null\nr\ns\nt"
            ),
            "@@ -1,10 +1,10 @@\n x\n-host: null\n+host: {\n+ 3\n+ 4\n+},\n g: null\n-nfs: {\n- 1\n- 2\n-},\n+nfs: null\n r\n s\n t\n"
        );
    }

    #[test]
    fn distant_changes_are_hunks_of_their_own() {
        let lines = |changed: &[usize]| -> String {
            let line = |at| match changed.contains(&at) {
                true => format!("new {at}\n"),
                false => format!("{at}\n"),
            };
            (0..30).map(line).collect()
        };
        assert_eq!(
            unified(&lines(&[]), &lines(&[1, 28])),
            "@@ -1,5 +1,5 @@\n 0\n-1\n+new 1\n 2\n 3\n 4\n@@ -26,6 +26,6 @@\n 25\n 26\n 27\n-28\n+new 28\n 29\n \n"
        );
        assert_eq!(unified("a", "a"), "");
        assert_eq!(unified("", "a\nb"), "@@ -1 +1,2 @@\n-\n+a\n+b\n");
    }
}
