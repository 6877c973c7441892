//! A ZIP archive (PKWARE's APPNOTE.TXT), and the file that it is written to.
//!
//! Packing takes long to make the archive small, because each cold start fetches it. So sizes stand in the local headers (no data
//! descriptors), and there are no extra fields. No ZIP64: no platform takes an archive of 4 GiB.

use std::fmt::Display;
use std::fs;
use std::io::{self, Write};
use std::num::NonZeroU64;
use std::path::Path;
use std::process;
use zopfli::{BlockType, DeflateEncoder};

/// Work that packing a file may cost: its bytes times the passes over it.
const WORK_BYTES_MAX: u64 = 16 * 1024 * 1024;
const PASSES_MIN: u64 = 1;
const PASSES_MAX: u64 = 255;

/// Zopfli does not look across the pieces it is given, and needs some fifty times their bytes as memory.
const PIECE_BYTES_MAX: usize = 4 * 1024 * 1024;

const STORED: usize = 0;
const DEFLATED: usize = 8;

/// The first that can deflate. The upper half of "made by" is Unix, whose modes are kept.
const VERSION: usize = 20;
const MADE_BY: usize = 3 << 8 | VERSION;
const NAME_IS_UTF8: usize = 1 << 11;

/// 1980-01-01, the format's first day.
const DATE: usize = 1 << 5 | 1;

#[derive(Default)]
pub(super) struct Archive {
    bytes: Vec<u8>,
    /// The central directory, which ends an archive.
    directory: Vec<u8>,
    count: usize,
}

impl Archive {
    /// `mode` is that of `stat(2)`: type and permissions. The content of a link is its target.
    pub(super) fn add(&mut self, name: &str, mode: u32, content: &[u8]) -> io::Result<()> {
        let packed = deflated(content)?;
        let is_smaller = packed.len() < content.len();
        let method = [STORED, DEFLATED][usize::from(is_smaller)];
        let data = [content, &packed][usize::from(is_smaller)];
        let flags = if name.is_ascii() { 0 } else { NAME_IS_UTF8 };
        let sum = crc32fast::hash(content) as usize;
        // What both headers tell: APPNOTE 4.3.7 and 4.3.12.
        let mut both = Vec::new();
        put(&mut both, 2, &[VERSION, flags, method, 0, DATE])?;
        put(&mut both, 4, &[sum, data.len(), content.len()])?;
        put(&mut both, 2, &[name.len(), 0])?;
        self.directory.extend(b"PK\x01\x02");
        put(&mut self.directory, 2, &[MADE_BY])?;
        self.directory.extend(&both);
        put(&mut self.directory, 2, &[0, 0, 0])?;
        let place = [(mode << 16) as usize, self.bytes.len()];
        put(&mut self.directory, 4, &place)?;
        self.directory.extend(name.as_bytes());
        for part in [b"PK\x03\x04", &both[..], name.as_bytes(), data] {
            self.bytes.extend(part);
        }
        self.count += 1;
        Ok(())
    }

    pub(super) fn finish(mut self) -> io::Result<Vec<u8>> {
        let place = [self.directory.len(), self.bytes.len()];
        self.bytes.extend(self.directory);
        self.bytes.extend(b"PK\x05\x06");
        put(&mut self.bytes, 2, &[0, 0, self.count, self.count])?;
        put(&mut self.bytes, 4, &place)?;
        put(&mut self.bytes, 2, &[0])?;
        Ok(self.bytes)
    }
}

/// Adds numbers of so many bytes each, the lowest first.
fn put(header: &mut Vec<u8>, bytes: usize, numbers: &[usize]) -> io::Result<()> {
    for number in numbers.iter().map(|number| number.to_le_bytes()) {
        let (low, high) = number.split_at(bytes);
        if high.iter().any(|byte| *byte != 0) {
            let why = "an archive has 65,535 entries and 4 GiB at most";
            return Err(io::Error::other(why));
        }
        header.extend(low);
    }
    Ok(())
}

fn deflated(content: &[u8]) -> io::Result<Vec<u8>> {
    let passes = WORK_BYTES_MAX / content.len().max(1) as u64;
    let passes = NonZeroU64::new(passes.clamp(PASSES_MIN, PASSES_MAX));
    let mut options = zopfli::Options::default();
    options.iteration_count = passes.unwrap_or(options.iteration_count);
    let mut encoder = DeflateEncoder::new(options, BlockType::Dynamic, Vec::new());
    for piece in content.chunks(PIECE_BYTES_MAX) {
        encoder.write_all(piece)?;
    }
    encoder.finish()
}

/// Writes the file under another name and renames it, so that the former one stays until this one is whole.
pub(super) fn write(given: &Path, archive: &[u8]) -> Result<(), String> {
    if let Some(folder) = given.parent() {
        fs::create_dir_all(folder).map_err(at(folder))?;
    }
    // A link stays one, also before there is what it leads to.
    let behind = fs::read_link(given).map(|target| given.with_file_name("").join(target));
    let path = given.canonicalize().or(behind);
    let path = &path.unwrap_or_else(|_| given.to_owned());
    if path.metadata().is_ok_and(|metadata| !metadata.is_file()) {
        return Err(at(path)("it is there, and is not a file"));
    }
    let part = path.with_file_name(format!(".fnboot-{}.part", process::id()));
    let written = fs::write(&part, archive).and_then(|()| fs::rename(&part, path));
    if written.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&part);
    }
    written.map_err(at(path))
}

/// For `map_err`: what went wrong with this file.
pub(super) fn at<E: Display>(path: &(impl AsRef<Path> + ?Sized)) -> impl Fn(E) -> String {
    move |error| format!("{}: {error}", path.as_ref().display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_entry_costs_only_what_the_format_demands() {
        // Local header 30, central header 46, end 22, the name twice.
        let overhead_bytes = 30 + 46 + 22 + 2 * "bootstrap".len();
        for (content, bytes_max) in [(&b""[..], 0), (b"x", 1), (&[7; 9_000], 30)] {
            let mut archive = Archive::default();
            archive.add("bootstrap", 0o100_755, content).unwrap();
            let bytes = archive.finish().unwrap().len() - overhead_bytes;
            assert!(bytes <= bytes_max, "{bytes}");
        }
    }
}
