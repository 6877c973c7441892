//! A line of text as words, as a shell splits one, but for what a shell replaces: nothing is expanded.
//!
//! Blanks part words: spaces, tabs and newlines. In `'…'` every byte stands for itself. In `"…"` a
//! backslash takes the meaning from `"`, `\`, `$` and a backquote, and stands for itself before any other
//! byte. Outside of quotes it takes the meaning from any byte. (POSIX, Shell Command Language, 2.2.)

use crate::bytes::Writer;

/// The words of a text that are not read yet.
#[derive(Clone, Copy, Debug)]
pub struct Words<'a>(&'a [u8]);

/// The text that is no words: `$` stands for it.
pub type Bad = &'static str;

const OPEN_QUOTE: Bad = "FNBOOT: '$' has a quote without its end";
const OPEN_ESCAPE: Bad = "FNBOOT: '$' has a backslash at its end";

impl<'a> Words<'a> {
    /// The words of `text`.
    pub fn new(text: &'a [u8]) -> Self {
        Self(text)
    }

    /// Appends the next word, and tells whether there was one; a word can be empty.
    ///
    /// # Errors
    /// A quote without its end, a backslash with nothing behind it.
    pub fn next(&mut self, into: &mut Writer<'_>) -> Result<bool, Bad> {
        while let Some(b' ' | b'\t' | b'\n') = self.0.first() {
            self.take();
        }
        let is_word = !self.0.is_empty();
        // The quote that is open, or none.
        let mut quote = None;
        while let Some(mut byte) = self.take() {
            match (byte, quote) {
                (b' ' | b'\t' | b'\n', None) => return Ok(true),
                (b'\'' | b'"', None) => {
                    quote = Some(byte);
                    continue;
                }
                (_, Some(open)) if byte == open => {
                    quote = None;
                    continue;
                }
                (b'\\', None) => byte = self.take().ok_or(OPEN_ESCAPE)?,
                (b'\\', Some(b'"')) => {
                    if let Some(&next @ (b'"' | b'\\' | b'$' | b'`')) = self.0.first() {
                        self.take();
                        byte = next;
                    }
                }
                _ => {}
            }
            into.put(&[byte]);
        }
        match quote {
            None => Ok(is_word),
            Some(_) => Err(OPEN_QUOTE),
        }
    }

    fn take(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;
    use std::{format, vec};

    fn split(text: &[u8]) -> Result<Vec<Vec<u8>>, Bad> {
        let (mut words, mut found) = (Words::new(text), Vec::new());
        loop {
            let mut place = vec![0; text.len()];
            let mut word = Writer::new(&mut place);
            if !words.next(&mut word)? {
                assert_eq!(words.next(&mut word), Ok(false));
                return Ok(found);
            }
            assert!(!word.is_cut());
            found.push(word.finish().to_vec());
        }
    }

    #[track_caller]
    fn check(text: &str, want: Result<&[&str], Bad>) {
        let want = want.map(|words| {
            let bytes = |word: &&str| word.as_bytes().to_vec();
            words.iter().map(bytes).collect::<Vec<_>>()
        });
        assert_eq!(split(text.as_bytes()), want, "{text:?}");
    }

    #[test]
    fn words_are_parted_by_blanks() {
        check("", Ok(&[]));
        check(" \t\n", Ok(&[]));
        check("a", Ok(&["a"]));
        check(" command\tcat\n-n  ", Ok(&["command", "cat", "-n"]));
        check("a\u{a0}b\r\u{b}", Ok(&["a\u{a0}b\r\u{b}"]));
        check(
            "a;b|c&d #e *.f ~ $g `h`",
            Ok(&["a;b|c&d", "#e", "*.f", "~", "$g", "`h`"]),
        );
    }

    #[test]
    fn quotes_and_escapes() {
        check("'a b'\"c d\"e\\ f", Ok(&["a bc de f"]));
        check("'' \"\"", Ok(&["", ""]));
        check("a'' ''b", Ok(&["a", "b"]));
        check("'a\\' \"b\\\"\"", Ok(&["a\\", "b\""]));
        check(
            "\"a\\\\b\\$c\\`d\\e\\'f\\\ng\"",
            Ok(&["a\\b$c`d\\e\\'f\\\ng"]),
        );
        check("\\a\\\\\\'\\\"\\\n\\\u{e9}", Ok(&["a\\'\"\n\u{e9}"]));
        check("\"it's\" 'a \"b\"'", Ok(&["it's", "a \"b\""]));
        check("\\ ", Ok(&[" "]));
    }

    #[test]
    fn what_has_no_end() {
        for open in ["'", "\"", "a 'b", "'a\\'b'", "\"a\\\"", "\"a\\", "a\"b'c'"] {
            check(open, Err(OPEN_QUOTE));
        }
        for open in ["\\", "a \\", "'a'\\", "\\\\\\"] {
            check(open, Err(OPEN_ESCAPE));
        }
    }

    /// What Python's `shlex.split` makes of them.
    #[test]
    fn as_others_split_it() {
        check(
            "command /bin/sh -c 'echo \"$1\"' x",
            Ok(&["command", "/bin/sh", "-c", "echo \"$1\"", "x"]),
        );
        check(
            r#"a"b c"'d e' f\ g "" h\\i"#,
            Ok(&["ab cd e", "f g", "", "h\\i"]),
        );
        check(
            r#"php -r "echo \"a\\b\";" -- 'it'\''s'"#,
            Ok(&["php", "-r", "echo \"a\\b\";", "--", "it's"]),
        );
        check(
            r#"X="a b" --k='v w' "'" '"'"#,
            Ok(&["X=a b", "--k=v w", "'", "\""]),
        );
    }

    /// The same in two passes: which bytes have which meaning, then where words end.
    fn naive(text: &[u8]) -> Result<Vec<Vec<u8>>, Bad> {
        // A byte of a word; a blank between words; or a mark that there is a word, though without bytes.
        let (mut marks, mut rest) = (Vec::new(), text);
        while !rest.is_empty() {
            let taken = match rest[0] {
                b' ' | b'\t' | b'\n' => {
                    marks.push(None);
                    1
                }
                b'\\' => {
                    marks.push(Some(vec![*rest.get(1).ok_or(OPEN_ESCAPE)?]));
                    2
                }
                b'\'' => {
                    let len = rest[1..]
                        .iter()
                        .position(|&byte| byte == b'\'')
                        .ok_or(OPEN_QUOTE)?;
                    marks.push(Some(rest[1..=len].to_vec()));
                    len + 2
                }
                b'"' => {
                    let mut inside = Vec::new();
                    let mut at = 1;
                    while rest.get(at) != Some(&b'"') {
                        let two = rest.get(at..at + 2).unwrap_or_default();
                        let is_escape = matches!(two, [b'\\', b'"' | b'\\' | b'$' | b'`']);
                        at += usize::from(is_escape);
                        inside.push(*rest.get(at).ok_or(OPEN_QUOTE)?);
                        at += 1;
                    }
                    marks.push(Some(inside));
                    at + 1
                }
                byte => {
                    marks.push(Some(vec![byte]));
                    1
                }
            };
            rest = &rest[taken..];
        }
        let parts = marks
            .split(Option::is_none)
            .filter(|parts| !parts.is_empty());
        let join = |parts: &[Option<Vec<u8>>]| parts.iter().flatten().flatten().copied().collect();
        Ok(parts.map(join).collect())
    }

    /// Every text of up to seven bytes of those that mean something, and of two that do not.
    #[test]
    fn as_the_naive_split() {
        const BYTES: &[u8] = b"a \n'\"\\$";
        for len in 0..=6u32 {
            for number in 0..BYTES.len().pow(len) {
                let byte = |place| BYTES[number / BYTES.len().pow(place) % BYTES.len()];
                let text: Vec<u8> = (0..len).map(byte).collect();
                let shown = || format!("{:?}", text.escape_ascii());
                assert_eq!(split(&text), naive(&text), "{}", shown());
            }
        }
    }
}
