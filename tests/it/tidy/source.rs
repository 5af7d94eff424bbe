//! A file as the rules see it: its text, its code without comments and literals, its paths.

use std::iter;

/// One text file of the project.
pub(super) struct Source {
    /// From the project's root, with `/` between folders.
    pub(super) path: String,
    pub(super) text: String,
    /// For a Rust file the text with comments, strings and character literals blanked out, line by
    /// line the same; empty for any other.
    pub(super) code: String,
}

/// A path in code, such as `crate::key::Key`. A group stands for one path for each of its members.
pub(super) struct Path {
    /// Counted from 1.
    pub(super) line: usize,
    pub(super) segments: Vec<String>,
    /// How many modules with a body in this file are around it.
    pub(super) inline_modules: usize,
}

impl Source {
    pub(super) fn new(path: &str, text: &str) -> Self {
        let mut source = Self {
            path: path.to_owned(),
            text: text.to_owned(),
            code: String::new(),
        };
        if source.is_rust() {
            source.code = code_of(text);
        }
        source
    }

    pub(super) fn is_rust(&self) -> bool {
        let extension = self.path.rsplit_once('.').map(|(_, extension)| extension);
        extension == Some("rs")
    }

    /// Whether this is a source of the library.
    pub(super) fn in_src(&self) -> bool {
        self.path.starts_with("src/")
    }

    /// The module that this file is, from the crate's root: `["key", "codec"]` for
    /// `src/key/codec.rs`. Empty for `src/lib.rs` and for files outside `src`.
    pub(super) fn module(&self) -> Vec<&str> {
        let Some(path) = self.path.strip_prefix("src/") else {
            return Vec::new();
        };
        let names = path.trim_end_matches(".rs").trim_end_matches("/mod");
        names.split('/').filter(|name| *name != "lib").collect()
    }

    /// Every path in the code, those of one name included.
    pub(super) fn paths(&self) -> Vec<Path> {
        let tokens: Vec<_> = tokens(&self.code).collect();
        let mut found = Vec::new();
        let mut braces = 0_usize;
        let mut modules = Vec::new();
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            match token.text {
                "{" => {
                    let is_module = at >= 2 && tokens[at - 2].text == "mod";
                    modules.extend(is_module.then_some(braces));
                    braces += 1;
                }
                "}" => {
                    braces = braces.saturating_sub(1);
                    modules.pop_if(|begun_at| *begun_at == braces);
                }
                name if is_name(name) => {
                    at = tree(&tokens, at, &[], modules.len(), &mut found);
                    continue;
                }
                _ => {}
            }
            at += 1;
        }
        found
    }
}

#[derive(Clone, Copy)]
struct Token<'a> {
    text: &'a str,
    line: usize,
}

/// Names and numbers, `::`, and every other visible character by itself.
fn tokens(code: &str) -> impl Iterator<Item = Token<'_>> {
    (1..).zip(code.lines()).flat_map(|(line, rest)| {
        let mut rest = rest;
        iter::from_fn(move || {
            rest = rest.trim_start();
            let first = rest.chars().next()?;
            let length = match rest.find(|c: char| !is_word(c)).unwrap_or(rest.len()) {
                0 if rest.starts_with("::") => 2,
                0 => first.len_utf8(),
                word => word,
            };
            let (text, after) = rest.split_at(length);
            rest = after;
            Some(Token { text, line })
        })
    })
}

/// Reads the path or the tree of paths that begins at `at`, and returns where it ends.
fn tree(
    tokens: &[Token<'_>],
    mut at: usize,
    prefix: &[String],
    inline_modules: usize,
    found: &mut Vec<Path>,
) -> usize {
    let mut segments = prefix.to_vec();
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text);
    while is_name(text(at)) || text(at) == "*" {
        segments.push(text(at).to_owned());
        at += 1;
        if text(at) != "::" {
            break;
        }
        at += 1;
        if text(at) == "{" {
            while !matches!(text(at), "}" | "") {
                at = tree(tokens, at + 1, &segments, inline_modules, found);
                // Past `as name`, and past whatever is no path at all.
                while !matches!(text(at), "," | "}" | "") {
                    at += 1;
                }
            }
            return at + 1;
        }
    }
    if segments.len() > prefix.len() {
        found.push(Path {
            line: tokens[at - 1].line,
            segments,
            inline_modules,
        });
    }
    at
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

fn code_of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let silent = comment(rest)
            .or_else(|| string(rest))
            .or_else(|| character(rest));
        let length = silent.unwrap_or_else(|| {
            // A name as a whole, so that the `r` at its end begins no raw string.
            let word = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
            word.max(first.len_utf8())
        });
        let (taken, after) = rest.split_at(length);
        match silent {
            Some(_) => code.extend(taken.chars().map(|c| if c == '\n' { c } else { ' ' })),
            None => code.push_str(taken),
        }
        rest = after;
    }
    code
}

/// The length of the comment that `text` begins with.
fn comment(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if !text.starts_with("/*") {
        return None;
    }
    let (mut at, mut depth) = (0, 0);
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let step = match rest {
            _ if rest.starts_with("/*") => 1,
            _ if rest.starts_with("*/") => -1,
            _ => 0,
        };
        depth += step;
        at += if step == 0 {
            rest.chars().next().map_or(1, char::len_utf8)
        } else {
            2
        };
        if depth == 0 {
            break;
        }
    }
    Some(at)
}

/// The length of the string that `text` begins with, its prefix and its hashes included.
fn string(text: &str) -> Option<usize> {
    let plain = text.trim_start_matches(['b', 'c']);
    if text.len() - plain.len() > 1 {
        return None;
    }
    if let Some(raw) = plain.strip_prefix('r') {
        let body = raw.trim_start_matches('#').strip_prefix('"')?;
        let hashes = raw.len() - body.len() - 1;
        let end = format!("\"{}", "#".repeat(hashes));
        let length = body.find(&end).map_or(body.len(), |at| at + end.len());
        return Some(text.len() - body.len() + length);
    }
    let body = plain.strip_prefix('"')?;
    Some(text.len() - body.len() + quoted_length(body, '"'))
}

/// The length of the character or byte that `text` begins with, if that is not a lifetime.
fn character(text: &str) -> Option<usize> {
    let body = text.strip_prefix('b').unwrap_or(text).strip_prefix('\'')?;
    let mut characters = body.chars();
    let is_escaped = characters.next()? == '\\';
    (is_escaped || characters.next() == Some('\''))
        .then(|| text.len() - body.len() + quoted_length(body, '\''))
}

/// Up to and with the quote that ends it.
fn quoted_length(body: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in body.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    body.len()
}
