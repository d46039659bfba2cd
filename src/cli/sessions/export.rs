//! `hoopctl sessions export`: recordings for other programs, or as they are stored.

use std::{
    fs,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use tokio::sync::mpsc;

use super::{
    super::{
        error::{DONE, Failure, Outcome},
        invocation::Invocation,
        printer::Printer,
        sanitize,
    },
    show,
    source::{self, For, Keys, Piece, Wanted},
    verify::RECORDINGS,
};
use crate::{
    client::Link,
    evidence::{
        playback::{Framed, Har},
        recording::{Entry, Side, What},
    },
    secret,
    wire::code,
};

/// The flags of `sessions export`.
#[derive(Args, Debug)]
pub(super) struct Export {
    #[command(flatten)]
    wanted: Wanted,
    /// How to write it
    #[arg(long, value_enum, default_value_t = Format::Jsonl)]
    format: Format,
    /// The recording as it is stored, sealed to its recipients, for `--file` elsewhere
    #[arg(long, conflicts_with_all = ["format", "identity", "file"])]
    sealed: bool,
    /// Into this new file instead of stdout
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// An HTTP archive (HAR 1.2), which browsers' developer tools import
    Har,
    /// One entry of the recording a line
    Jsonl,
    /// The answer's bytes as the caller received them, of one exchange
    Raw,
}

/// Takes recordings away.
pub(super) async fn perform(args: Export, with: &Invocation) -> Outcome {
    let keys = args.wanted.keys(with)?;
    if args.sealed && args.to.is_none() && with.printer.manner().out_terminal {
        return Err(Failure::usage("a sealed recording is nothing for a terminal")
            .remedy("name a file with --to, or send it to another program"));
    }
    if let Some(file) = &args.wanted.file {
        let pieces = source::of_file(file, &keys)?;
        let name = file.display().to_string();
        write(pieces, args.format, args.to.as_deref(), &name, &with.printer).await?;
        return Ok(DONE);
    }
    let (_laptop, link) = with.connected().await?;
    let exchanges = args.wanted.exchanges(&link).await?;
    if (args.sealed || args.format == Format::Raw) && exchanges.len() > 1 {
        let list = exchanges.join(", ");
        return Err(Failure::usage(format!("the session has several recordings: {list}"))
            .remedy("name one exchange, or choose --format har or jsonl"));
    }
    let mut out = Sink::open(args.to.as_deref(), &with.printer, args.format == Format::Raw)?;
    if args.sealed {
        sealed(&link, &exchanges, &mut out).await?;
    } else {
        opened(&link, &exchanges, &keys, args.format, &mut out, with).await?;
    }
    out.keep()?;
    link.close().await;
    Ok(DONE)
}

/// Writes the sealed recordings of these exchanges into a new folder of a bundle. Those that were deleted are passed over.
pub(in crate::cli) async fn into_bundle(
    link: &Link,
    exchanges: &[String],
    bundle: &Path,
    with: &Invocation,
) -> Result<(), Failure> {
    let folder = bundle.join(RECORDINGS);
    secret::create_private_dir(&folder)?;
    let mut count = 0;
    for exchange in exchanges {
        let exchange = show::plain(exchange)?;
        let mut out = Sink::open(Some(&folder.join(format!("{exchange}.rec"))), &with.printer, false)?;
        match sealed(link, &[exchange.to_owned()], &mut out).await {
            Ok(()) => out.keep()?,
            Err(Failure::Told(told)) if told.code == code::RECORDING_DELETED => continue,
            Err(Failure::Told(told)) if told.code == code::RECORDING_ABSENT => {
                with.printer.warn(&format!("{exchange}: {}", told.message));
                continue;
            }
            Err(failure) => return Err(failure),
        }
        count += 1;
    }
    with.printer.note(&format!("{count} recordings"));
    Ok(())
}

/// Writes one recording.
pub(super) async fn write(
    pieces: mpsc::Receiver<Piece>,
    format: Format,
    to: Option<&Path>,
    name: &str,
    printer: &Printer,
) -> Result<(), Failure> {
    let mut out = Sink::open(to, printer, format == Format::Raw)?;
    let mut writer = Writer::begin(format, &mut out)?;
    writer.recording(pieces, name, printer).await?;
    writer.end()?;
    out.keep()
}

async fn sealed(link: &Link, exchanges: &[String], out: &mut Sink<'_>) -> Result<(), Failure> {
    for exchange in exchanges {
        let mut stored = source::stored(link, exchange, For::Export, "sealed").await?;
        while let Some(bytes) = stored.next().await? {
            out.bytes(&bytes)?;
        }
    }
    Ok(())
}

async fn opened(
    link: &Link,
    exchanges: &[String],
    keys: &Keys,
    format: Format,
    out: &mut Sink<'_>,
    with: &Invocation,
) -> Result<(), Failure> {
    let mut writer = Writer::begin(format, out)?;
    for exchange in exchanges {
        let pieces = source::of_gateway(link, exchange, For::Export, keys).await?;
        writer.recording(pieces, exchange, &with.printer).await?;
    }
    writer.end()
}

/// Writes recordings in one format. Of an archive it holds one exchange.
struct Writer<'o, 'p> {
    format: Format,
    out: &'o mut Sink<'p>,
    written: u64,
    framed: Framed,
}

impl<'o, 'p> Writer<'o, 'p> {
    fn begin(format: Format, out: &'o mut Sink<'p>) -> Result<Self, Failure> {
        if format == Format::Har {
            out.bytes(Har::brackets().0.as_bytes())?;
        }
        Ok(Self { format, out, written: 0, framed: Framed::default() })
    }

    async fn recording(
        &mut self,
        mut pieces: mpsc::Receiver<Piece>,
        name: &str,
        printer: &Printer,
    ) -> Result<(), Failure> {
        let mut har = Har::default();
        while let Some(piece) = pieces.recv().await {
            match piece {
                Piece::Entry(entry) => match self.format {
                    Format::Har => har.take(&entry),
                    Format::Jsonl => self.line(&entry)?,
                    Format::Raw => self.raw(&entry, printer)?,
                },
                Piece::Over { whole, unknown } => {
                    if !whole {
                        printer.warn(&format!("{name}: the recording ends before its exchange did"));
                    }
                    if unknown > 0 {
                        printer.warn(&format!(
                            "{name}: {unknown} entries are of kinds that a newer hoopctl knows"
                        ));
                    }
                }
                Piece::Broken(error) => return Err(source::failure(error, name)),
            }
        }
        let rest = self.framed.end().unwrap_or_default();
        self.out.bytes(&rest)?;
        if let Some(entry) = har.finish().filter(|_| self.format == Format::Har) {
            if self.written > 0 {
                self.out.bytes(b",")?;
            }
            self.written += 1;
            self.out.bytes(sanitize::json(entry.to_string()).as_bytes())?;
        }
        Ok(())
    }

    fn line(&mut self, entry: &Entry) -> Result<(), Failure> {
        let text = serde_json::to_string(entry).map_err(|error| Failure::failed(error.to_string()))?;
        self.out.bytes(sanitize::json(text).as_bytes())?;
        self.out.bytes(b"\n")
    }

    fn raw(&mut self, entry: &Entry, printer: &Printer) -> Result<(), Failure> {
        match &entry.what {
            What::Body { from: Side::Model, bytes } => self.out.bytes(bytes),
            What::Message { from: Side::Model, kind, bytes } if self.framed.is_of(kind) => {
                let whole = self.framed.take(kind, bytes).unwrap_or_default();
                self.out.bytes(&whole)
            }
            What::Message { from: Side::Model, kind, bytes }
                if matches!(kind.as_str(), "text" | "binary" | "continuation") =>
            {
                self.out.bytes(bytes)
            }
            What::Omitted { from: Side::Model, bytes, why } => {
                printer.warn(&format!("{bytes} bytes of the answer are not in the recording: {why}"));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn end(self) -> Result<(), Failure> {
        if self.format == Format::Har {
            self.out.bytes(Har::brackets().1.as_bytes())?;
            self.out.bytes(b"\n")?;
        }
        Ok(())
    }
}

/// Where it goes: stdout, or a file that is only kept when it is complete.
struct Sink<'p> {
    printer: &'p Printer,
    file: Option<(PathBuf, BufWriter<fs::File>)>,
    /// On a terminal, what it would obey is spelled out.
    screen: Option<sanitize::Stream>,
}

impl<'p> Sink<'p> {
    fn open(to: Option<&Path>, printer: &'p Printer, raw: bool) -> Result<Self, Failure> {
        let file = to.map(|path| {
            let mut options = fs::OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let file = options.open(path).map_err(|error| unwritable(path, &error))?;
            Ok::<_, Failure>((path.to_owned(), BufWriter::new(file)))
        });
        let terminal = to.is_none() && raw && printer.manner().out_terminal;
        Ok(Self { printer, file: file.transpose()?, screen: terminal.then(sanitize::Stream::default) })
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        match (&mut self.file, &mut self.screen) {
            (Some((path, file)), _) => file.write_all(bytes).map_err(|error| unwritable(path, &error)),
            (None, Some(screen)) => self.printer.raw(screen.push(bytes).as_bytes()),
            (None, None) => self.printer.raw(bytes),
        }
    }

    fn keep(mut self) -> Result<(), Failure> {
        let Some((path, file)) = &mut self.file else { return Ok(()) };
        file.flush().map_err(|error| unwritable(path, &error))?;
        self.file = None;
        Ok(())
    }
}

impl Drop for Sink<'_> {
    fn drop(&mut self) {
        if let Some((path, file)) = self.file.take() {
            drop(file);
            // Half an archive is none; why it is half was said.
            let _ = fs::remove_file(path);
        }
    }
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    let failure = Failure::failed(format!("{} cannot be written: {error}", path.display()));
    if error.kind() == io::ErrorKind::AlreadyExists {
        return failure.remedy("name a file that does not exist yet");
    }
    failure
}
