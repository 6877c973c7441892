//! JSON (RFC 8259), read where it lies: a pull parser that gives out slices of the text.
//!
//! [`Members`] walks through one object or array, member by member; what a member holds is a [`Value`], whose
//! own members are walked through if somebody asks. Each text is checked to the letter before any of it is
//! given out, but for what follows it in its object: [`Members::is_whole`] says in the end whether all of it
//! was JSON. Nothing is copied. A string is unescaped into a place that the caller gives, a number stays
//! text.
//!
//! Nesting is counted, not followed by recursion, so that no input can make the stack deep. What is JSON by its
//! grammar, but is no text (one half of a surrogate pair) or nested too deep, is walked through, too, so that it can
//! be told from what is no JSON: [`Members::is_sound`].

use core::{mem, str};

use crate::bytes::{self, Writer, hex_digit};

/// Objects and arrays within each other in one member; one with more is not sound, and not checked further in.
pub const DEPTH_MAX: u32 = 64;

/// A value that is JSON: its text, without white space around it. Empty where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Value<'a>(&'a [u8]);

/// What is between the quotes of a string: correct escapes, no control character.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Text<'a>(&'a [u8]);

/// The members of an object, or the items of an array, from the first on.
#[derive(Clone, Debug)]
pub struct Members<'a> {
    text: Cursor<'a>,
    /// The bracket that ends them; zero once there are no more.
    close: u8,
    is_first: bool,
    is_whole: bool,
}

/// Memory to which texts are put without their escapes.
#[derive(Debug)]
pub struct Place<'a> {
    free: &'a mut [u8],
    /// Whether more was asked for than there was.
    is_full: bool,
}

/// The value that a whole text is; `None` if it is not JSON. UTF-8 is checked here, once for all of it.
#[must_use]
pub fn parse(text: &[u8]) -> Option<Value<'_>> {
    str::from_utf8(text).ok()?;
    let mut cursor = Cursor::at(text);
    let value = cursor.value()?;
    cursor.space();
    (cursor.is_sound && cursor.rest.is_empty()).then_some(value)
}

/// The members of the object or array that a whole text is, each checked when it is asked for; `None` if the
/// text is not UTF-8.
#[must_use]
pub fn members(text: &[u8]) -> Option<Members<'_>> {
    str::from_utf8(text).ok()?;
    Some(Members::of(text))
}

impl<'a> Value<'a> {
    /// The value as it stands.
    #[must_use]
    pub fn text(self) -> &'a [u8] {
        self.0
    }

    /// What is between the quotes, if it is a string.
    #[must_use]
    pub fn string(self) -> Option<Text<'a>> {
        match self.0 {
            [b'"', inside @ .., b'"'] => Some(Text(inside)),
            _ => None,
        }
    }

    /// Whether it is an object.
    #[must_use]
    pub fn is_object(self) -> bool {
        self.0.first() == Some(&b'{')
    }

    /// Whether it is an array.
    #[cfg(feature = "worker")]
    #[must_use]
    pub fn is_array(self) -> bool {
        self.0.first() == Some(&b'[')
    }

    /// The members of an object, or the items of an array; none of anything else.
    #[must_use]
    pub fn members(self) -> Members<'a> {
        Members::of(self.0)
    }

    /// The items of an array, or the value itself if it is none.
    #[must_use]
    pub fn items(self) -> Members<'a> {
        let mut members = self.members();
        if members.close != b']' {
            (members.text, members.close) = (Cursor::at(self.0), ITSELF);
        }
        members
    }

    /// The last member of that name, however it is spelt; a value without text if there is none.
    #[must_use]
    #[inline(never)]
    pub fn member(self, name: &[u8]) -> Value<'a> {
        let mut last = Value::default();
        if self.is_object() {
            for (other, value) in self.members() {
                if other.is(name) {
                    last = value;
                }
            }
        }
        last
    }

    /// Whether there is no value, or one that says so.
    #[must_use]
    pub fn is_none(self) -> bool {
        matches!(self.0, b"" | b"null")
    }
}

impl<'a> Text<'a> {
    /// The text as it stands, escapes and all.
    #[must_use]
    pub fn raw(self) -> &'a [u8] {
        self.0
    }

    /// The text itself, if there are no escapes in it.
    #[must_use]
    pub fn plain(self) -> Option<&'a [u8]> {
        (bytes::plain_len(self.0) == self.0.len()).then_some(self.0)
    }

    /// Whether it is that name.
    fn is(self, name: &[u8]) -> bool {
        self.unescaped(&mut [0; NAME_BYTES_MAX]) == name
    }

    /// The text, unescaped: in `place`, if it is not as it stands. What does not fit is cut.
    #[inline(never)]
    #[must_use]
    pub fn unescaped<'p>(self, place: &'p mut [u8]) -> &'p [u8]
    where
        'a: 'p,
    {
        self.plain().unwrap_or_else(|| {
            let mut writer = Writer::new(place);
            self.put(&mut writer);
            writer.finish()
        })
    }

    /// Appends the text, unescaped: it is UTF-8, and never longer than the text as it stands.
    #[inline(never)]
    pub fn put(self, place: &mut Writer<'_>) {
        let mut text = Cursor::at(self.0);
        loop {
            text.take(place.put_plain(text.rest));
            match text.escape() {
                Some(c) if c.is_ascii() => place.push(c as u8),
                Some(c) => place.put(c.encode_utf8(&mut [0; 4]).as_bytes()),
                None => return,
            }
        }
    }
}

impl<'a> Place<'a> {
    /// All of `free`.
    pub fn new(free: &'a mut [u8]) -> Self {
        let is_full = false;
        Self { free, is_full }
    }

    /// Whether a text was left out, because there was no room for it.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.is_full
    }

    /// The next `len` bytes; none if there are fewer.
    pub fn take(&mut self, len: usize) -> &'a mut [u8] {
        let Some((taken, free)) = mem::take(&mut self.free).split_at_mut_checked(len) else {
            self.is_full = true;
            return &mut [];
        };
        self.free = free;
        taken
    }

    /// A text without its escapes.
    #[inline(never)]
    pub fn text(&mut self, text: Text<'a>) -> &'a [u8] {
        match text.plain() {
            Some(plain) => plain,
            None => text.unescaped(self.take(text.raw().len())),
        }
    }

    /// The text of a string, or any other value as it stands.
    pub fn value(&mut self, value: Value<'a>) -> &'a [u8] {
        match value.string() {
            Some(text) => self.text(text),
            None => value.text(),
        }
    }
}

impl<'a> Members<'a> {
    fn of(text: &'a [u8]) -> Self {
        let mut text = Cursor::at(text);
        text.space();
        let close = match text.next() {
            Some(open @ (b'{' | b'[')) => open + CLOSE,
            _ => 0,
        };
        Self {
            text,
            close,
            is_first: true,
            is_whole: false,
        }
    }

    /// Whether there are no more, and all of the text was JSON, sound or not.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Whether nothing so far was nested too deep, or no text.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.text.is_sound
    }

    /// Takes them all, and puts the last value of each of `names`, which blanks part, to the place of its name in
    /// `values`. Returns whether they are those of an object, and all of the text was JSON, sound or not.
    #[inline(never)]
    pub fn pick(&mut self, names: &[u8], values: &mut [Value<'a>]) -> bool {
        let is_object = self.close == b'}';
        for (name, value) in &mut *self {
            let mut place = [0; NAME_BYTES_MAX];
            let name = name.unescaped(&mut place);
            let place = bytes::split(names, b' ').position(|other| other == name);
            if let Some(place) = place.and_then(|place| values.get_mut(place)) {
                *place = value;
            }
        }
        is_object && self.is_whole
    }

    fn step(&mut self) -> Option<(Text<'a>, Value<'a>)> {
        self.text.space();
        let is_end = self.text.rest.first() == Some(&self.close);
        if is_end {
            self.text.next();
            self.text.space();
            self.is_whole = self.text.rest.is_empty();
            return None;
        }
        if !mem::replace(&mut self.is_first, false) {
            self.text.expect(b',')?;
        }
        let name = if self.close == b'}' {
            self.text.name()?
        } else {
            Text::default()
        };
        Some((name, self.text.value()?))
    }
}

/// Names and values; of an array, the names are empty. It ends where the text is not JSON, too.
impl<'a> Iterator for Members<'a> {
    type Item = (Text<'a>, Value<'a>);

    #[inline(never)]
    fn next(&mut self) -> Option<Self::Item> {
        if self.close == 0 {
            return None;
        }
        if self.close == ITSELF {
            self.close = 0;
            return Some((Text::default(), Value(self.text.rest)));
        }
        let member = self.step();
        if member.is_none() {
            self.close = 0;
        }
        member
    }
}

/// What ends the only item of a value that is no array.
const ITSELF: u8 = 1;

/// How far behind an opening bracket the closing one is, in ASCII.
const CLOSE: u8 = b'}' - b'{';
const _: () = assert!(CLOSE == b']' - b'[', "both kinds alike");

/// The longest name that a member is asked for by, and more.
pub const NAME_BYTES_MAX: usize = 64;

/// What is left of a text, and whether what came before was sound.
#[derive(Clone, Copy, Debug)]
struct Cursor<'a> {
    rest: &'a [u8],
    is_sound: bool,
}

impl<'a> Cursor<'a> {
    fn at(rest: &'a [u8]) -> Self {
        let is_sound = true;
        Self { rest, is_sound }
    }

    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    /// The next `count` bytes, or as many as there are.
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .unwrap_or((self.rest, b""));
        self.rest = rest;
        taken
    }

    /// White space (RFC 8259 §2).
    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.rest.first() {
            self.next();
        }
    }

    /// That byte, behind white space.
    fn expect(&mut self, byte: u8) -> Option<()> {
        self.space();
        (self.next()? == byte).then_some(())
    }

    /// A name and its colon.
    fn name(&mut self) -> Option<Text<'a>> {
        self.expect(b'"')?;
        let name = self.string()?;
        self.expect(b':')?;
        Some(name)
    }

    /// A value, behind white space.
    #[inline(never)]
    fn value(&mut self) -> Option<Value<'a>> {
        self.space();
        let start = self.rest;
        // What is open around the next value: one bit each, the innermost is the lowest, an object is a one.
        let (mut kinds, mut depth) = (0u64, 0);
        loop {
            if kinds & 1 == 1 {
                self.name()?;
            }
            self.space();
            let is_opened = match self.next()? {
                b'"' => self.string().map(|_| false)?,
                open @ (b'{' | b'[') => {
                    self.space();
                    kinds = kinds << 1 | u64::from(open == b'{');
                    depth += 1;
                    self.rest.first() != Some(&(open + CLOSE))
                }
                first => self.word(first).map(|()| false)?,
            };
            if depth > DEPTH_MAX {
                self.skip(&mut depth)?;
            } else if !is_opened && !self.ends(&mut kinds, &mut depth)? {
                continue;
            }
            if depth == 0 {
                return start.get(..start.len() - self.rest.len()).map(Value);
            }
        }
    }

    /// What is too deep, and all that is around it: only brackets are counted.
    fn skip(&mut self, depth: &mut u32) -> Option<()> {
        self.is_sound = false;
        while *depth > 0 {
            match self.next()? {
                b'"' => drop(self.string()?),
                b'{' | b'[' => *depth += 1,
                b'}' | b']' => *depth -= 1,
                _ => {}
            }
        }
        Some(())
    }

    /// Behind a value: the ends of what is around it, up to a comma. Returns whether there was none.
    fn ends(&mut self, kinds: &mut u64, depth: &mut u32) -> Option<bool> {
        while *depth > 0 {
            self.space();
            let open = if *kinds & 1 == 1 { b'{' } else { b'[' };
            match self.next()? {
                b',' => return Some(false),
                close if close == open + CLOSE => {}
                _ => return None,
            }
            *kinds >>= 1;
            *depth -= 1;
        }
        Some(true)
    }

    /// A string, behind its first quote, and the last one.
    fn string(&mut self) -> Option<Text<'a>> {
        let start = self.rest;
        loop {
            self.take(bytes::plain_len(self.rest));
            if *self.rest.first()? == b'"' {
                break;
            }
            // Where this is not an escape, it is a control character.
            self.escape()?;
        }
        let text = start.get(..start.len() - self.rest.len()).map(Text);
        self.next();
        text
    }

    /// An escape (RFC 8259 §7).
    fn escape(&mut self) -> Option<char> {
        self.next().filter(|&byte| byte == b'\\')?;
        Some(match self.next()? {
            byte @ (b'"' | b'\\' | b'/') => byte.into(),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(),
            _ => return None,
        })
    }

    /// What is behind `\u`: four digits, or two times four of a surrogate pair. One half of a pair is not sound.
    fn unicode(&mut self) -> Option<char> {
        let high = self.digits()?;
        let c = char::from_u32(high).or_else(|| {
            let mut behind = *self;
            if high >= 0xdc00 || behind.take(2) != b"\\u" {
                return None;
            }
            let low = behind.digits()?.checked_sub(0xdc00)?;
            *self = behind;
            char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + low).filter(|_| low < 0x400)
        });
        self.is_sound &= c.is_some();
        Some(c.unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn digits(&mut self) -> Option<u32> {
        let mut number = 0;
        for _ in 0..4 {
            number = number << 4 | u32::from(hex_digit(self.next()?)?);
        }
        Some(number)
    }

    /// The rest of a number, `true`, `false` or `null`.
    fn word(&mut self, first: u8) -> Option<()> {
        let rest: &[u8] = match first {
            b't' => b"rue",
            b'f' => b"alse",
            b'n' => b"ull",
            _ => return self.number(first),
        };
        (self.take(rest.len()) == rest).then_some(())
    }

    /// The rest of a number (RFC 8259 §6).
    fn number(&mut self, first: u8) -> Option<()> {
        let first = if first == b'-' { self.next()? } else { first };
        match first {
            b'0' => {}
            b'1'..=b'9' => {
                self.count_digits();
            }
            _ => return None,
        }
        if self.rest.first() == Some(&b'.') {
            self.next();
            self.some_digits()?;
        }
        if let Some(b'e' | b'E') = self.rest.first() {
            self.next();
            if let Some(b'+' | b'-') = self.rest.first() {
                self.next();
            }
            self.some_digits()?;
        }
        Some(())
    }

    fn some_digits(&mut self) -> Option<()> {
        (self.count_digits() > 0).then_some(())
    }

    /// Digits, and how many there were.
    fn count_digits(&mut self) -> usize {
        let before = self.rest.len();
        while self.rest.first().is_some_and(u8::is_ascii_digit) {
            self.next();
        }
        before - self.rest.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;
    use std::string::String;

    #[track_caller]
    fn check(text: &str, want: bool) {
        assert_eq!(parse(text.as_bytes()).is_some(), want, "{text:?}");
        if text.trim().is_empty() {
            return;
        }
        // Alone and inside of others it is the same.
        for around in ["[%]", "[1 , % ]", "{\"a\":%}", "{\"a\":[%],\"b\":{}}"] {
            let text = around.replace('%', text);
            assert_eq!(parse(text.as_bytes()).is_some(), want, "{text:?}");
            let mut members = members(text.as_bytes()).expect("text");
            while members.next().is_some() {}
            assert_eq!(members.is_whole() && members.is_sound(), want, "{text:?}");
        }
    }

    #[test]
    fn values_are_those_of_the_grammar() {
        for good in [
            "0",
            "-0",
            "10",
            "-1.50",
            "1e5",
            "1E+05",
            "0.0e-0",
            "true",
            "false",
            "null",
            "\"\"",
            "[]",
            "{}",
            " [ ] ",
            "\t{\n}\r",
            "[[],{}]",
            "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
            "\"\\u0041\\ud83d\\ude00\"",
            "{\"\":0}",
            "{\"a\":1,\"a\":2}",
            "\"\u{7f}é€😀\"",
        ] {
            check(good, true);
        }
        for bad in [
            "",
            " ",
            "00",
            "01",
            "-",
            "+1",
            ".5",
            "1.",
            "1e",
            "1e+",
            "0x1",
            "1.e1",
            "--1",
            "tru",
            "truex",
            "True",
            "nul",
            "\"",
            "\"a",
            "'a'",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\u12g4\"",
            "\"\\ud800\"",
            "\"\\udc00\"",
            "\"\\ud800\\u0041\"",
            "\"\\ud800x\"",
            "\"\\ud800\\n\"",
            "\"\t\"",
            "\"\n\"",
            "[",
            "]",
            "[1",
            "[1}",
            "{]",
            "[,]",
            "[1,]",
            "[1 2]",
            "{1:2}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{\"a\" 1}",
            "{a:1}",
            "{\"a\":1 \"b\":2}",
            "1 2",
            "[]]",
            "{}}",
            "nullnull",
            "\u{b}1",
            "\u{feff}1",
            "\"\\ud800\\udbff\"",
            "\"\\ud800\\ue000\"",
        ] {
            check(bad, false);
        }
        for bad in [
            &b"\"\xff\""[..],
            b"\"\xc3\"",
            b"\xed\xa0\x80",
            b"\"\xed\xa0\x80\"",
        ] {
            assert_eq!(parse(bad), None);
            assert!(members(bad).is_none());
        }
    }

    #[test]
    fn depth_has_a_bound() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let max = DEPTH_MAX as usize;
        assert!(parse(nested(max).as_bytes()).is_some());
        assert!(parse(nested(max + 1).as_bytes()).is_none());
        // Miri is slow.
        let many = if cfg!(miri) { 1 << 10 } else { 1 << 20 };
        assert!(parse("[".repeat(many).as_bytes()).is_none());
        let mixed = format!("{}0{}", "{\"a\":[".repeat(max / 2), "]}".repeat(max / 2));
        assert!(parse(mixed.as_bytes()).is_some());
    }

    #[test]
    fn members_come_in_their_order() {
        let text = br#" { "a" : 1 , "b":"x\ny", "a":[ true,{}] } "#;
        let value = parse(text).expect("JSON");
        let seen: String = value
            .members()
            .map(|(name, value)| {
                let [name, value] = [name.raw(), value.text()].map(String::from_utf8_lossy);
                format!("{name}={value};")
            })
            .collect();
        assert_eq!(seen, "a=1;b=\"x\\ny\";a=[ true,{}];");
        let last = value.member(b"a");
        assert_eq!((last.members().count(), last.items().count()), (2, 2));
        assert_eq!(last.member(b""), Value::default());
        assert!(value.member(b"c").is_none() && !last.is_none());
        let text = value.member(b"b");
        assert_eq!((text.members().count(), text.items().count()), (0, 1));
        assert_eq!(text.items().next(), Some((Text::default(), text)));
    }

    #[test]
    fn strings_are_unescaped() {
        for (text, want) in [
            ("", ""),
            ("plain é", "plain é"),
            (r#"\"\\\/\b\f\n\r\t"#, "\"\\/\u{8}\u{c}\n\r\t"),
            (r"a\u0000b\u00e9\u20ac\ud83d\ude00c", "a\0bé€😀c"),
        ] {
            let quoted = format!("\"{text}\"");
            let text = parse(quoted.as_bytes()).and_then(Value::string);
            let text = text.expect("a string");
            let mut place = [0; 64];
            let mut writer = Writer::new(&mut place);
            text.put(&mut writer);
            assert_eq!(writer.finish(), want.as_bytes());
            let is_plain = !quoted.contains('\\');
            assert_eq!(text.plain(), is_plain.then_some(want.as_bytes()));
        }
        assert_eq!(parse(b"1").and_then(Value::string), None);
    }
}
