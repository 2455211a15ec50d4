//! A temporary file in the user's editor.

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::time::SystemTime;

use ferrule_apimachinery::field::quote;

use crate::error::{Error, Result};

/// How many names are tried.
const TRIES: u32 = 100;

/// A file that was edited.
pub struct Edited {
    /// Where it is.
    pub path: String,
    /// What it holds.
    pub text: String,
}

/// Lets the user edit a text.
pub fn edit(text: &str, ending: &str) -> Result<Edited> {
    let failed = |error: std::io::Error| Error::local(error.to_string());
    let (path, mut file) = temporary("kubectl-edit-", ending, |path| {
        let mut options = std::fs::OpenOptions::new();
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.write(true).create_new(true).open(path)
    })?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    drop(file);
    launch(&path)?;
    let text = std::fs::read_to_string(&path).map_err(failed)?;
    let path = path.display().to_string();
    Ok(Edited { path, text })
}

/// A new folder that only its owner can enter.
pub fn temporary_folder(prefix: &str) -> Result<PathBuf> {
    let made = temporary(prefix, "", |path| {
        let mut builder = std::fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path)
    });
    made.map(|(path, ())| path)
}

/// Makes something under a name that nothing has.
fn temporary<T>(
    prefix: &str,
    ending: &str,
    make: impl Fn(&PathBuf) -> std::io::Result<T>,
) -> Result<(PathBuf, T)> {
    let folder = std::env::temp_dir();
    for turn in 0..TRIES {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let number = now.unwrap_or_default().subsec_nanos().wrapping_add(turn);
        let path = folder.join(format!("{prefix}{}{number}{ending}", std::process::id()));
        match make(&path) {
            Ok(made) => return Ok((path, made)),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Error::local(format!("open {}: {error}", path.display()))),
        }
    }
    Err(Error::local(format!(
        "no name is free in {}",
        folder.display()
    )))
}

/// An editor with quotes is run by a shell.
fn needs_shell(editor: &str) -> bool {
    editor.contains(['"', '\'', '\\'])
}

/// The editor and its arguments, those of its shell included.
fn command(editor: &str, shell: &str) -> Vec<String> {
    if needs_shell(editor) {
        return [shell, "-c", editor].map(str::to_owned).to_vec();
    }
    let words = editor.split(' ').filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

fn launch(path: &PathBuf) -> Result<()> {
    let variable = |name: &str| {
        std::env::var(name)
            .ok()
            .filter(|own| !own.trim().is_empty())
    };
    let editor = variable("KUBE_EDITOR").or_else(|| variable("EDITOR"));
    let editor = editor.unwrap_or_else(|| "vi".to_owned());
    let shell = variable("SHELL").unwrap_or_else(|| "/bin/bash".to_owned());
    let words = command(&editor, &shell);
    let mut process = Command::new(words.first().map_or("vi", String::as_str));
    if needs_shell(&editor) {
        let line = format!("{editor} {:?}", path.display().to_string());
        process.args(["-c", &line]);
    } else {
        process.args(words.iter().skip(1)).arg(path);
    }
    let shown = quote(&words.join(" "));
    match process.status() {
        Ok(status) if status.success() => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(Error::local(format!("unable to launch the editor {shown}")))
        }
        _ => Err(Error::local(format!(
            "there was a problem with the editor {shown}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_editor_with_quotes_is_run_by_a_shell() {
        assert_eq!(command("code  --wait", "/bin/sh"), ["code", "--wait"]);
        assert_eq!(
            command("sed -i 's/a/b/'", "/bin/sh"),
            ["/bin/sh", "-c", "sed -i 's/a/b/'"]
        );
    }

    #[test]
    fn temporary_folders_have_names_of_their_own() {
        let one = temporary_folder("ferrule-test-").unwrap();
        let other = temporary_folder("ferrule-test-").unwrap();
        assert_ne!(one, other);
        for folder in [one, other] {
            assert!(folder.is_dir());
            std::fs::remove_dir(folder).unwrap();
        }
    }
}
