//! Rust as far as the plan needs it: words, strings and paths, without comments and test modules.

/// A file that was read.
pub struct Source {
    words: Vec<String>,
    strings: Vec<String>,
}

/// A piece of source: a word or sign, or a string's contents.
#[derive(PartialEq)]
enum Token {
    Word(String),
    Text(String),
}

impl Token {
    fn is(&self, expected: &str) -> bool {
        matches!(self, Self::Word(word) if word == expected)
    }
}

impl Source {
    /// Reads Rust.
    pub fn read(text: &str) -> Self {
        let tokens = without_test_modules(tokens(text));
        let (mut words, mut strings) = (Vec::new(), Vec::new());
        for token in tokens {
            match token {
                Token::Word(word) => words.push(word),
                // It keeps apart what stands around it.
                Token::Text(text) => {
                    words.push("\"\"".to_owned());
                    strings.push(text);
                }
            }
        }
        Self { words, strings }
    }

    /// The contents of all string literals.
    pub fn strings(&self) -> &[String] {
        &self.strings
    }

    /// Whether these words occur one after the other.
    pub fn has(&self, words: &[&str]) -> bool {
        self.words.windows(words.len()).any(|window| window == words)
    }

    /// All paths of two or more names, nested groups taken apart.
    pub fn paths(&self) -> Vec<Vec<String>> {
        let mut paths = Vec::new();
        let mut position = 0;
        while position < self.words.len() {
            let word = &self.words[position];
            let begins = is_name(word) && (position == 0 || self.words[position - 1] != "::");
            let is_path = self.words.get(position + 1).is_some_and(|next| next == "::");
            if begins && (is_path || word == "use") {
                let start = if word == "use" { position + 1 } else { position };
                position = self.expand(start, &[], &mut paths).max(position + 1);
            } else {
                position += 1;
            }
        }
        paths
    }

    /// Reads the tree of paths that begins at `position` and returns where it ends.
    fn expand(&self, mut position: usize, prefix: &[String], paths: &mut Vec<Vec<String>>) -> usize {
        let word = |position: usize| self.words.get(position).map_or("", String::as_str);
        if word(position) == "::" {
            position += 1;
        }
        let mut path = prefix.to_vec();
        loop {
            if word(position) == "{" {
                position += 1;
                while !matches!(word(position), "}" | "") {
                    let before = position;
                    position = self.expand(position, &path, paths);
                    if word(position) == "as" {
                        position += 2;
                    }
                    if word(position) == "," || position == before {
                        position += 1;
                    }
                }
                return position + 1;
            }
            if !is_name(word(position)) && word(position) != "*" {
                break;
            }
            path.push(word(position).to_owned());
            position += 1;
            if word(position) != "::" {
                break;
            }
            position += 1;
        }
        if !path.is_empty() {
            paths.push(path);
        }
        position
    }
}

fn is_name(word: &str) -> bool {
    word.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

fn tokens(text: &str) -> Vec<Token> {
    let characters: Vec<char> = text.chars().collect();
    let at = |position: usize| characters.get(position).copied().unwrap_or('\0');
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    let mut tokens = Vec::new();
    let mut position = 0;
    while position < characters.len() {
        let character = at(position);
        if character == '/' && at(position + 1) == '/' {
            while position < characters.len() && at(position) != '\n' {
                position += 1;
            }
        } else if character == '/' && at(position + 1) == '*' {
            position = end_of_comment(&characters, position);
        } else if let Some((text, end)) = string_at(&characters, position) {
            tokens.push(Token::Text(text));
            position = end;
        } else if character == '\'' && (at(position + 1) == '\\' || at(position + 2) == '\'') {
            // A character, not a lifetime.
            position += if at(position + 1) == '\\' { 3 } else { 2 };
            while position < characters.len() && at(position) != '\'' {
                position += 1;
            }
            position += 1;
        } else if is_word(character) {
            let start = position;
            while is_word(at(position)) {
                position += 1;
            }
            tokens.push(Token::Word(characters[start..position].iter().collect()));
        } else if character == ':' && at(position + 1) == ':' {
            tokens.push(Token::Word("::".to_owned()));
            position += 2;
        } else {
            if !character.is_whitespace() {
                tokens.push(Token::Word(character.to_string()));
            }
            position += 1;
        }
    }
    tokens
}

/// Comments nest.
fn end_of_comment(characters: &[char], start: usize) -> usize {
    let (mut depth, mut position) = (0, start);
    while position < characters.len() {
        match characters[position..] {
            ['/', '*', ..] => {
                depth += 1;
                position += 2;
            }
            ['*', '/', ..] => {
                depth -= 1;
                position += 2;
                if depth == 0 {
                    break;
                }
            }
            _ => position += 1,
        }
    }
    position
}

/// The string literal that begins at `start`, with where it ends: plain, raw, and of bytes.
fn string_at(characters: &[char], start: usize) -> Option<(String, usize)> {
    let at = |position: usize| characters.get(position).copied().unwrap_or('\0');
    if start > 0 && (at(start - 1).is_alphanumeric() || at(start - 1) == '_') {
        return None;
    }
    let mut position = start;
    if at(position) == 'b' || at(position) == 'c' {
        position += 1;
    }
    let is_raw = at(position) == 'r';
    if is_raw {
        position += 1;
    }
    let mut hashes = 0;
    while is_raw && at(position) == '#' {
        hashes += 1;
        position += 1;
    }
    if at(position) != '"' {
        return None;
    }
    position += 1;
    let contents = position;
    while position < characters.len() {
        match at(position) {
            '\\' if !is_raw => position += 2,
            '"' if (1..=hashes).all(|offset| at(position + offset) == '#') => {
                return Some((characters[contents..position].iter().collect(), position + 1 + hashes));
            }
            _ => position += 1,
        }
    }
    Some((characters[contents.min(characters.len())..].iter().collect(), characters.len()))
}

/// Leaves out each `#[cfg(test)] mod … { … }`.
fn without_test_modules(tokens: Vec<Token>) -> Vec<Token> {
    const ATTRIBUTE: [&str; 8] = ["#", "[", "cfg", "(", "test", ")", "]", "mod"];
    let mut kept = Vec::new();
    let mut tokens = std::collections::VecDeque::from(tokens);
    while !tokens.is_empty() {
        let is_test_module =
            tokens.len() > ATTRIBUTE.len() + 1 && ATTRIBUTE.iter().zip(&tokens).all(|(word, token)| token.is(word));
        if is_test_module && tokens[ATTRIBUTE.len() + 1].is("{") {
            tokens.drain(..=ATTRIBUTE.len());
            let mut depth = 0;
            while let Some(token) = tokens.pop_front() {
                depth += i32::from(token.is("{")) - i32::from(token.is("}"));
                if depth == 0 {
                    break;
                }
            }
        } else {
            kept.extend(tokens.pop_front());
        }
    }
    kept
}
