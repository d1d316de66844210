//! The word lists that the configuration names: read at the start, and again when a file changes.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;

use super::Failure;
use crate::config::Config;
use crate::text::{Fault, Lexicon, Reader};

/// How often files are looked at for changes.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The reader in force; whoever reads takes the newest.
pub(super) type Shelf = Arc<ArcSwap<Reader>>;

/// The reader of the configured lexicons, to be handed to whoever reads.
///
/// # Errors
/// Every fault of every file (78).
pub(super) fn shelf(config: &Config) -> Result<Shelf, Failure> {
    Ok(Arc::new(ArcSwap::from_pointee(read(&config.lexicons)?)))
}

/// Reads lexicons: names of shipped ones, or paths of TOML files; what stands later overrides what stands before.
///
/// # Errors
/// Every fault of every file (78).
pub(super) fn read(names: &[String]) -> Result<Reader, Failure> {
    let (mut lexicons, mut faults) = (Vec::new(), Vec::new());
    for name in names {
        let text = match Lexicon::SHIPPED.iter().find(|(shipped, _)| shipped == name) {
            Some((_, text)) => Ok((*text).to_owned()),
            None => std::fs::read_to_string(name),
        };
        match text.map(|text| Lexicon::parse(name, &text)) {
            Ok(Ok(lexicon)) => lexicons.push(lexicon),
            Ok(Err(wrong)) => faults.extend(wrong),
            Err(error) => {
                let shipped: Vec<&str> = Lexicon::SHIPPED.iter().map(|(name, _)| *name).collect();
                faults.push(Fault {
                    file: name.clone(),
                    line: 1,
                    message: format!("cannot read the lexicon `{name}`: {error}"),
                    hint: Some(format!(
                        "`lexicons` takes paths of TOML files and the shipped `{}`",
                        shipped.join("`, `")
                    )),
                });
            }
        }
    }
    if faults.is_empty() {
        return Reader::new(&lexicons).map_err(Failure::config);
    }
    let all: Vec<String> = faults.iter().map(ToString::to_string).collect();
    let text = all.join("\n\n");
    Err(Failure::config(text.strip_prefix("error: ").unwrap_or(&text).to_owned()))
}

/// When each file was last written, and its length.
type Stamps = HashMap<String, Option<(SystemTime, u64)>>;

fn stamps(names: &[String]) -> Stamps {
    let files = names.iter().filter(|name| !Lexicon::SHIPPED.iter().any(|(shipped, _)| shipped == name));
    files
        .map(|name| {
            let meta = std::fs::metadata(Path::new(name)).ok();
            (name.clone(), meta.and_then(|meta| Some((meta.modified().ok()?, meta.len()))))
        })
        .collect()
}

/// Puts a new reader on the shelf when a file has changed or SIGHUP comes; a wrong file is refused whole, with a
/// message, and the old reader stays. Ends with `stop`.
pub(super) async fn keep_fresh(names: Vec<String>, shelf: Shelf, stop: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut hangup) = signal(SignalKind::hangup()) else { return };
    let mut known = stamps(&names);
    loop {
        let asked = tokio::select! {
            () = stop.cancelled() => return,
            _ = hangup.recv() => true,
            () = tokio::time::sleep(LOOK_EVERY) => false,
        };
        let now = stamps(&names);
        if !asked && now == known {
            continue;
        }
        known = now;
        let files = names.clone();
        match tokio::task::spawn_blocking(move || read(&files)).await {
            Ok(Ok(reader)) => {
                tracing::info!("the lexicons were read again: {} phrases", reader.phrases());
                shelf.store(Arc::new(reader));
            }
            Ok(Err(failure)) => tracing::error!("the lexicons stay as they were: {failure}"),
            Err(error) => tracing::error!("the lexicons stay as they were: reading them broke off: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_of_all_files_are_told() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("own.toml");
        std::fs::write(&path, "[[list]]\ncategory = \"x\"\nphrases = [\"(\"]\n").expect("written");
        let names = ["absent.toml".to_owned(), path.display().to_string()];
        let failure = read(&names).expect_err("both are wrong");
        assert_eq!(failure.code, 78);
        assert!(
            failure.message.contains("absent.toml") && failure.message.contains("own.toml, line 3"),
            "{failure}"
        );
    }

    #[tokio::test]
    async fn a_changed_file_is_read_again_and_a_wrong_one_is_not() {
        use crate::event::Speaker;
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("own.toml");
        let write = |text: &str| std::fs::write(&path, text).expect("written");
        write("[[list]]\ncategory = \"x\"\nphrases = [\"alpha\"]\n");
        let names = vec![path.display().to_string()];
        let shelf: Shelf = Arc::new(ArcSwap::from_pointee(read(&names).expect("it is right")));
        let stop = CancellationToken::new();
        let task = tokio::spawn(keep_fresh(names, Arc::clone(&shelf), stop.clone()));
        let hits = |text: &str| shelf.load().read(text, Speaker::Customer).hits.len();
        let waits = async |text: &str| {
            for _ in 0..100 {
                if hits(text) == 1 {
                    return true;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            false
        };
        // The task has looked at the file once before it is changed.
        tokio::time::sleep(Duration::from_millis(200)).await;
        write("[[list]]\ncategory = \"x\"\nphrases = [\"alpha beta\", \"beta\"]\n");
        assert!(waits("beta").await);
        write("[[list]]\ncategory = \"x\"\nphrases = [\"(\"]\n");
        tokio::time::sleep(LOOK_EVERY + Duration::from_millis(500)).await;
        assert_eq!(hits("beta"), 1);
        stop.cancel();
        task.await.expect("it ends");
    }
}
