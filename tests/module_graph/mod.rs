//! Which file of `src/` uses which, read from the paths in the code: `use` declarations and paths
//! such as `super::x::Y` or `crate::a::b`. An item belongs to the file that defines it, even if a
//! parent module re-exports it. Tests do not count.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// File to the files that it uses.
pub type Uses = BTreeMap<String, BTreeSet<String>>;

/// What a module defines, and what it imports: names and the paths that they denote.
#[derive(Default)]
struct Module {
    file: String,
    items: BTreeSet<String>,
    imports: BTreeMap<String, Vec<String>>,
    globs: Vec<Vec<String>>,
    /// Other paths in the code, and single names.
    paths: BTreeSet<Vec<String>>,
    /// Names of `imports` that it only passes on, unless they are among `paths`.
    reexports: BTreeSet<String>,
}

/// Modules by their path from the crate's root.
type Modules = BTreeMap<Vec<String>, Module>;

/// The graph of these files: their names below `src/` with `/`, and their texts.
pub fn uses(files: &[(String, String)]) -> Uses {
    let mut tests = BTreeSet::new();
    let mut parsed = Vec::new();
    for (file, text) in files {
        let path = module_path(file);
        let tokens = without_tests(&tokens(text), &path, &mut tests);
        parsed.push((file, path, tokens));
    }
    let mut modules = Modules::new();
    for (file, path, tokens) in parsed {
        let of_tests = (1..=path.len()).any(|n| tests.contains(&path[..n]));
        if !of_tests && !file.ends_with("tests.rs") {
            Parser { file, tokens: &tokens, at: 0, modules: &mut modules }.module(&path);
        }
    }
    let mut uses = Uses::new();
    for (path, module) in &modules {
        let used = uses.entry(module.file.clone()).or_default();
        let imported = module.imports.iter().filter_map(|(name, import)| {
            let passed_on = module.reexports.contains(name) && !module.paths.iter().any(|p| p[0] == *name);
            if passed_on { None } else { resolve(&modules, path, import, 0) }
        });
        used.extend(imported);
        used.extend(module.globs.iter().filter_map(|glob| match find(&modules, path, glob, 0)? {
            Found::Module(found) => Some(modules[&found].file.clone()),
            Found::File(file) => Some(file),
        }));
        used.extend(module.paths.iter().filter_map(|p| resolve(&modules, path, p, 0)));
    }
    for (file, used) in &mut uses {
        used.remove(file);
    }
    uses
}

/// The circles: sets of files each of which reaches all others of its set.
pub fn circles(uses: &Uses) -> Vec<BTreeSet<&str>> {
    let reached: BTreeMap<&str, BTreeSet<&str>> = uses
        .keys()
        .map(|start| {
            let mut reached = BTreeSet::new();
            let mut next = vec![start.as_str()];
            while let Some(file) = next.pop() {
                for used in uses.get(file).into_iter().flatten() {
                    if reached.insert(used.as_str()) {
                        next.push(used);
                    }
                }
            }
            (start.as_str(), reached)
        })
        .collect();
    let mut circles = BTreeSet::new();
    for (&file, from_here) in &reached {
        if from_here.contains(file) {
            circles.insert(from_here.iter().copied().filter(|other| reached[other].contains(file)).collect());
        }
    }
    circles.into_iter().collect()
}

fn module_path(file: &str) -> Vec<String> {
    let mut path: Vec<String> = file.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if path.last().is_some_and(|last| last == "mod" || last == "lib") {
        path.pop();
    }
    path
}

/// Words, signs one by one except for `::`, and strings with their first quote. Comments, numbers,
/// lifetimes and raw strings are left out.
fn tokens(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let starts = |at: usize, sign: &str| sign.chars().enumerate().all(|(i, c)| chars.get(at + i) == Some(&c));
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        if starts(at, "//") {
            while chars.get(at).is_some_and(|&c| c != '\n') {
                at += 1;
            }
        } else if starts(at, "/*") {
            while at < chars.len() && !starts(at, "*/") {
                at += 1;
            }
            at += 2;
        } else if c == '"' {
            let from = at;
            at += 1;
            while chars.get(at).is_some_and(|&c| c != '"') {
                at += if chars[at] == '\\' { 2 } else { 1 };
            }
            tokens.push(chars[from..at.min(chars.len())].iter().collect());
            at += 1;
        } else if c == '\'' {
            let escaped = chars.get(at + 1) == Some(&'\\');
            if escaped || chars.get(at + 2) == Some(&'\'') {
                at += if escaped { 3 } else { 2 };
                while chars.get(at).is_some_and(|&c| c != '\'') {
                    at += 1;
                }
            }
            at += 1;
            if !escaped && chars.get(at - 1) != Some(&'\'') {
                continue;
            }
            // A lifetime's name is no word of the code.
            if chars.get(at - 1) == Some(&'\'') && chars.get(at).is_some_and(|&c| is_word(c)) {
                while chars.get(at).is_some_and(|&c| is_word(c)) {
                    at += 1;
                }
            }
        } else if is_word(c) {
            let from = at;
            while chars.get(at).is_some_and(|&c| is_word(c)) {
                at += 1;
            }
            let word: String = chars[from..at].iter().collect();
            let hashes = chars[at..].iter().take_while(|&&c| c == '#').count();
            if ["r", "br"].contains(&word.as_str()) && chars.get(at + hashes) == Some(&'"') {
                let end = format!("\"{}", "#".repeat(hashes));
                at += hashes + 1;
                while at < chars.len() && !starts(at, &end) {
                    at += 1;
                }
                at += end.len();
            } else if !c.is_numeric() {
                tokens.push(word);
            }
        } else if starts(at, "::") {
            tokens.push("::".to_owned());
            at += 2;
        } else {
            if !c.is_whitespace() {
                tokens.push(c.to_string());
            }
            at += 1;
        }
    }
    tokens
}

/// The tokens without what is `#[cfg(test)]`; files of such modules go into `tests`.
fn without_tests(tokens: &[String], path: &[String], tests: &mut BTreeSet<Vec<String>>) -> Vec<String> {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let marked =
            tokens[at..].iter().zip(MARK).filter(|(token, mark)| token == mark).count() == MARK.len();
        if !marked {
            kept.push(tokens[at].clone());
            at += 1;
            continue;
        }
        at += MARK.len();
        let (mut depth, first, mut is_use) = (0, at, false);
        while let Some(token) = tokens.get(at) {
            is_use |= token == "use";
            match token.as_str() {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" if depth == 0 => break,
                ")" | "]" | "}" => depth -= 1,
                _ => {}
            }
            at += 1;
            let attribute = token == "]" && tokens[first] == "#";
            if depth == 0 && (token == "}" && !is_use || [";", ","].contains(&token.as_str()) && !attribute) {
                break;
            }
        }
        let item = &tokens[first..at];
        if let [.., word, name, end] = item
            && word == "mod"
            && end == ";"
        {
            tests.insert(path.iter().chain([name]).cloned().collect());
        }
    }
    kept
}

struct Parser<'a> {
    file: &'a str,
    tokens: &'a [String],
    at: usize,
    modules: &'a mut Modules,
}

impl Parser<'_> {
    fn token(&self, ahead: usize) -> &str {
        self.tokens.get(self.at + ahead).map_or("", String::as_str)
    }

    fn is_word(&self, ahead: usize) -> bool {
        self.token(ahead).starts_with(|c: char| c.is_alphabetic() || c == '_')
    }

    fn before(&self) -> &str {
        self.at.checked_sub(1).map_or("", |at| self.tokens[at].as_str())
    }

    /// A module up to its closing brace or the file's end.
    fn module(&mut self, path: &[String]) {
        const ITEMS: [&str; 9] =
            ["fn", "struct", "enum", "trait", "type", "const", "static", "union", "macro_rules"];
        let mut module = Module { file: self.file.to_owned(), ..Module::default() };
        let mut depth = 0_usize;
        let mut elsewhere = Vec::new();
        while self.at < self.tokens.len() {
            let token = self.token(0).to_owned();
            match token.as_str() {
                "{" => depth += 1,
                "}" if depth == 0 => break,
                "}" => depth -= 1,
                "mod" if depth == 0 && self.token(2) == "{" => {
                    let child: Vec<String> = path.iter().cloned().chain([self.token(1).to_owned()]).collect();
                    self.at += 3;
                    self.module(&child);
                }
                "path" if self.token(1) == "=" && Path::new(self.token(2)).extension().is_some() => {
                    let file = self.token(2).trim_start_matches('"').trim_end_matches(".rs").to_owned();
                    elsewhere.push(file);
                }
                "mod" if depth == 0 && !elsewhere.is_empty() => {
                    // `#[path]`; of several for different systems, the first.
                    let import = vec!["self".to_owned(), elsewhere.swap_remove(0)];
                    module.imports.insert(self.token(1).to_owned(), import);
                    module.reexports.insert(self.token(1).to_owned());
                    elsewhere.clear();
                }
                "use" if self.before() != "." => {
                    let public = self.is_public();
                    self.at += 1;
                    self.import(&mut module, &mut Vec::new(), public);
                }
                item if depth == 0 && ITEMS.contains(&item) => {
                    let name = if item == "macro_rules" { 2 } else { 1 };
                    module.items.insert(self.token(name).to_owned());
                }
                _ if self.is_word(0) && !["::", "."].contains(&self.before()) => {
                    let mut words = vec![token];
                    while self.token(1) == "::" && self.is_word(2) {
                        words.push(self.token(2).to_owned());
                        self.at += 2;
                    }
                    module.paths.insert(words);
                }
                _ => {}
            }
            self.at += 1;
        }
        self.modules.insert(path.to_vec(), module);
    }

    /// Whether what begins here is behind `pub` or `pub(...)`.
    fn is_public(&self) -> bool {
        let behind = &self.tokens[..self.at];
        let from =
            if self.before() == ")" { behind.iter().rposition(|t| t == "(").unwrap_or(0) } else { self.at };
        from.checked_sub(1).is_some_and(|at| self.tokens[at] == "pub")
    }

    /// A tree of imports up to its `;`, `,` or `}`, below `prefix`.
    fn import(&mut self, module: &mut Module, prefix: &mut Vec<String>, public: bool) {
        let outer = prefix.len();
        loop {
            match self.token(0) {
                "{" => {
                    self.at += 1;
                    while self.token(0) != "}" {
                        self.import(module, prefix, public);
                        if self.token(0) == "," {
                            self.at += 1;
                        }
                    }
                    self.at += 1;
                    prefix.truncate(outer);
                    return;
                }
                "*" => {
                    module.globs.push(prefix.clone());
                    self.at += 1;
                    prefix.truncate(outer);
                    return;
                }
                "::" => self.at += 1,
                "as" => {
                    let name = self.token(1).to_owned();
                    self.at += 2;
                    Self::imported(module, name, prefix, public);
                    prefix.truncate(outer);
                    return;
                }
                _ if self.is_word(0) => {
                    prefix.push(self.token(0).to_owned());
                    self.at += 1;
                }
                _ => {
                    if prefix.last().is_some_and(|last| last == "self") && prefix.len() > 1 {
                        prefix.pop();
                    }
                    let name = prefix.last().cloned().unwrap_or_default();
                    Self::imported(module, name, prefix, public);
                    prefix.truncate(outer);
                    return;
                }
            }
        }
    }

    fn imported(module: &mut Module, name: String, path: &[String], public: bool) {
        if public {
            module.reexports.insert(name.clone());
        }
        module.imports.insert(name, path.to_vec());
    }
}

enum Found {
    Module(Vec<String>),
    File(String),
}

/// The file that defines the item that a path in a module names; none for modules and for items of
/// other crates.
fn resolve(modules: &Modules, from: &[String], path: &[String], depth: usize) -> Option<String> {
    match find(modules, from, path, depth)? {
        Found::Module(_) => None,
        Found::File(file) => Some(file),
    }
}

fn find(modules: &Modules, from: &[String], path: &[String], depth: usize) -> Option<Found> {
    if depth > 20 {
        return None;
    }
    let mut at = from.to_vec();
    let mut rest = path;
    let mut anchored = false;
    while let [first, more @ ..] = rest {
        match first.as_str() {
            "crate" => at.clear(),
            "super" => drop(at.pop()),
            "self" => {}
            _ => break,
        }
        anchored = true;
        rest = more;
    }
    while let [name, more @ ..] = rest {
        let module = modules.get(&at)?;
        let child: Vec<String> = at.iter().chain([name]).cloned().collect();
        let is_child = modules.contains_key(&child);
        if module.items.contains(name) && (more.is_empty() || !is_child) {
            return Some(Found::File(module.file.clone()));
        }
        if is_child {
            at = child;
        } else if let Some(import) = module.imports.get(name) {
            // An import of this name must lead elsewhere.
            if import == path && at == from {
                return None;
            }
            match find(modules, &at, import, depth + 1)? {
                Found::Module(found) => at = found,
                file @ Found::File(_) => return Some(file),
            }
        } else {
            for glob in &module.globs {
                if let Some(Found::Module(found)) = find(modules, &at, glob, depth + 1)
                    && modules[&found].items.contains(name)
                {
                    return Some(Found::File(modules[&found].file.clone()));
                }
            }
            return anchored.then(|| Found::File(module.file.clone()));
        }
        anchored = true;
        rest = more;
    }
    Some(Found::Module(at))
}
