//! Finds the state dict in a checkpoint.

use std::collections::HashMap;

use super::modules::{Modules, place};
use super::value::{Dict, Dtype, Id, Value};
use super::{Checkpoint, STATE_DICT_ADVICE};
use crate::error::{Error, Result};

/// The names under which training programs store the state dict, most likely first.
const WRAPPERS: &[&str] = &[
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "module",
    "net",
    "network",
    "net_state_dict",
    "weights",
    "params",
    "backbone",
    "student",
    "teacher",
    "model_ema",
    "state_dict_ema",
    "ema_state_dict",
    "ema",
    "params_ema",
];

/// The depth of nested wrappers: `{"ema": {"module": {...}}}`.
const MAX_WRAPPERS: usize = 4;

/// A state dict in a file.
#[derive(Clone, Debug, PartialEq)]
pub struct StateDict {
    /// The keys that lead to it from the file's top-level object; empty if it is that object.
    pub path: Vec<String>,
    /// Other state dicts in the file that could have been meant.
    pub alternatives: Vec<String>,
    /// Names and values in order, each name once. Besides tensors there may be plain data (an
    /// `_extra_state`), but no opaque values.
    pub entries: Vec<(String, Id)>,
    /// torch's `_metadata`: the version of each module.
    pub metadata: Option<Id>,
    /// The class of the pickled module whose weights these are; none for a state dict.
    pub module: Option<String>,
    /// Whether that module has hooks that might rename its weights; they were not run.
    pub hooked: bool,
}

const WHOLE_MODEL: &str = "it is a whole pickled object; load it once with PyTorch and the code it was made \
     with, and save its weights: torch.save(model.state_dict(), FILE)";

const DENSE_AND_REAL: &str =
    "rvision reads dense tensors of real numbers: convert it with PyTorch and save it again";

const CHOOSE: &str = "choose one with key=";

impl Checkpoint {
    /// Finds the state dict: the object at `key` (dots separate nested keys). Without a `key`, it
    /// is the file's top-level object or the entry under one of the usual names. For a whole
    /// pickled module, it is what its `state_dict()` would return.
    ///
    /// # Errors
    /// [`Error::RefusedGlobal`] if the state dict or a value in it is an object of an unknown class
    /// that is not a module; [`Error::NoStateDict`] if there is none or more than one;
    /// [`Error::UnsupportedFile`] for quantised and sparse tensors in it.
    pub fn state_dict(&self, key: Option<&str>) -> Result<StateDict> {
        let mut modules = Modules::new(self);
        let (path, id, alternatives) = match key {
            Some(key) => {
                let (path, id) = self.at(key)?;
                (path, id, Vec::new())
            }
            None => self.search(&mut modules)?,
        };
        if modules.has(id) {
            let found = modules.weights(&path, id)?;
            for (name, value) in &found.entries {
                self.check(&path, name, *value)?;
                if !matches!(self.graph().get(*value), Value::Tensor(_)) {
                    let what = self.graph().describe(*value);
                    let found = format!("{} is {what}, no tensor", entry(&path, name));
                    return Err(self.no_state_dict(found, STATE_DICT_ADVICE));
                }
            }
            let module = self.graph().refused(id).map(str::to_owned);
            let (entries, hooked) = (found.entries, found.hooked);
            return Ok(StateDict { path, alternatives, entries, metadata: None, module, hooked });
        }
        let dict = self.weights_dict(&path, id)?;
        let entries = self.entries(&path, dict)?;
        let metadata = dict
            .attributes
            .and_then(|attributes| self.graph().dict(attributes))
            .and_then(|attributes| self.graph().entry(attributes, "_metadata"));
        Ok(StateDict { path, alternatives, entries, metadata, module: None, hooked: false })
    }

    /// The entries of a dict, or the attributes of an object.
    fn members(&self, id: Id) -> Option<&Dict> {
        self.graph().dict(id).or_else(|| self.graph().dict(self.graph().state(id)?))
    }

    /// An entry, an attribute, or a module's child.
    fn member(&self, dict: &Dict, name: &str) -> Option<Id> {
        let graph = self.graph();
        graph.entry(dict, name).or_else(|| {
            let children = graph.dict(graph.entry(dict, "_modules")?)?;
            graph.entry(children, name)
        })
    }

    /// Follows a dotted key; keys that contain dots themselves are found too.
    fn at(&self, key: &str) -> Result<(Vec<String>, Id)> {
        let mut path = Vec::new();
        let mut id = self.root();
        let mut rest = key;
        while !rest.is_empty() {
            let dict = self.members(id);
            let found = dict.and_then(|dict| {
                // The longest prefix up to a dot that is a key.
                let ends = rest.rmatch_indices('.').map(|(at, _)| at);
                std::iter::once(rest.len())
                    .chain(ends)
                    .find_map(|end| self.member(dict, &rest[..end]).map(|id| (end, id)))
            });
            let Some((end, next)) = found else {
                let names = dict.map(|dict| self.names(dict)).unwrap_or_default();
                return Err(self.no_state_dict(format!("the checkpoint has no entry {key:?}{names}"), CHOOSE));
            };
            path.push(rest[..end].to_owned());
            id = next;
            rest = rest[end..].trim_start_matches('.');
        }
        Ok((path, id))
    }

    fn search(&self, modules: &mut Modules<'_>) -> Result<(Vec<String>, Id, Vec<String>)> {
        let mut path = Vec::new();
        let mut id = self.root();
        let mut alternatives = Vec::new();
        for _ in 0..MAX_WRAPPERS {
            if modules.has(id) {
                break;
            }
            let Some(dict) = self.members(id) else { break };
            let candidates = self.candidates(dict, modules);
            let usual = WRAPPERS.iter().find_map(|name| candidates.iter().find(|(key, _)| key == name));
            let only = match candidates.as_slice() {
                [only] if !self.has_tensors(dict) => Some(only),
                _ => None,
            };
            let Some((key, next)) = usual.or(only).cloned() else {
                if !candidates.is_empty() && !self.has_tensors(dict) {
                    let keys: Vec<&str> = candidates.iter().map(|(key, _)| key.as_str()).collect();
                    return Err(self.no_state_dict(
                        format!("the checkpoint holds {} state dicts ({})", keys.len(), keys.join(", ")),
                        CHOOSE,
                    ));
                }
                break;
            };
            let full = |key: String| path.iter().cloned().chain([key]).collect::<Vec<_>>().join(".");
            alternatives.extend(candidates.into_iter().filter(|(k, _)| *k != key).map(|(k, _)| full(k)));
            path.push(key);
            id = next;
        }
        Ok((path, id, alternatives))
    }

    /// Entries of a checkpoint that may be or contain a state dict: dicts of named tensors and
    /// modules at some depth, and other opaque objects under one of the usual names (to be refused
    /// by name).
    fn candidates(&self, dict: &Dict, modules: &mut Modules<'_>) -> Vec<(String, Id)> {
        let mut index = HashMap::<&str, usize>::new();
        let mut seen = HashMap::new();
        let mut found: Vec<(String, Id)> = Vec::new();
        for &(key, value) in &dict.items {
            let Some(key) = self.graph().text(key) else { continue };
            let opaque_model = self.graph().refused(value).is_some() && WRAPPERS.contains(&key);
            if !opaque_model && !self.holds_weights(value, MAX_WRAPPERS, &mut seen, modules) {
                continue;
            }
            if let Some(&at) = index.get(key) {
                found[at].1 = value;
            } else {
                index.insert(key, found.len());
                found.push((key.to_owned(), value));
            }
        }
        found
    }

    /// `seen` caches the result for each object at each depth: objects may be shared, so a few of
    /// them can form any number of paths.
    fn holds_weights(
        &self,
        id: Id,
        depth: usize,
        seen: &mut HashMap<(Id, bool, usize), bool>,
        modules: &mut Modules<'_>,
    ) -> bool {
        // Objects may share their attributes.
        let state = self.graph().state(id);
        let known_as = (state.unwrap_or(id), state.is_some(), depth);
        if let Some(&known) = seen.get(&known_as) {
            return known;
        }
        let Some(dict) = self.members(id) else { return false };
        let holds = if modules.has(id) {
            modules.has_tensors(id)
        } else {
            let named = dict.items.iter().all(|&(key, _)| self.graph().text(key).is_some());
            // Tensors that are attributes of an object may be anything.
            let direct = self.graph().dict(id).is_some() && self.has_tensors(dict);
            named
                && (direct
                    || (depth > 0
                        && dict.items.iter().any(|&(key, value)| {
                            self.graph().text(key).is_some_and(|key| WRAPPERS.contains(&key))
                                && self.holds_weights(value, depth - 1, seen, modules)
                        })))
        };
        seen.insert(known_as, holds);
        holds
    }

    /// Whether the dict directly contains named tensors.
    fn has_tensors(&self, dict: &Dict) -> bool {
        dict.items.iter().any(|&(key, value)| {
            self.graph().text(key).is_some()
                && matches!(self.graph().get(value), Value::Tensor(_) | Value::Unreadable(_))
        })
    }

    fn weights_dict(&self, path: &[String], id: Id) -> Result<&Dict> {
        let place = place(path);
        if let Some(global) = self.graph().refused(id) {
            return Err(self.refuse(place, global, WHOLE_MODEL));
        }
        let Some(dict) = self.graph().dict(id) else {
            return Err(
                self.no_state_dict(format!("{place} is {}", self.graph().describe(id)), STATE_DICT_ADVICE)
            );
        };
        if !self.has_tensors(dict) && !dict.items.is_empty() {
            if let Some(global) = dict.items.iter().find_map(|&(_, value)| self.graph().refused(value)) {
                return Err(self.refuse(format!("a value in {place}"), global, WHOLE_MODEL));
            }
            return Err(self.no_state_dict(
                format!("{place} is a dict without tensors{}", self.names(dict)),
                STATE_DICT_ADVICE,
            ));
        }
        Ok(dict)
    }

    fn entries(&self, path: &[String], dict: &Dict) -> Result<Vec<(String, Id)>> {
        let mut index = HashMap::<&str, usize>::new();
        let mut entries: Vec<(String, Id)> = Vec::with_capacity(dict.items.len());
        for &(key, value) in &dict.items {
            let Some(name) = self.graph().text(key) else {
                return Err(self.no_state_dict(
                    format!("the dict of weights has a key that is {}, no name", self.graph().describe(key)),
                    STATE_DICT_ADVICE,
                ));
            };
            self.check(path, name, value)?;
            if let Some(&at) = index.get(name) {
                entries[at].1 = value;
            } else {
                index.insert(name, entries.len());
                entries.push((name.to_owned(), value));
            }
        }
        Ok(entries)
    }

    /// Whether the value of this name is allowed in a state dict.
    fn check(&self, path: &[String], name: &str, value: Id) -> Result<()> {
        if let Some(global) = self.graph().refused(value) {
            return Err(self.refuse(entry(path, name), global, STATE_DICT_ADVICE));
        }
        let unsupported = |what: &str| Error::UnsupportedFile {
            path: self.path().to_owned(),
            what: format!("{what} ({})", entry(path, name)),
            advice: DENSE_AND_REAL,
        };
        match self.graph().get(value) {
            Value::Unreadable(what) => Err(unsupported(what)),
            Value::Tensor(spec) if matches!(spec.dtype, Dtype::Other { .. }) => {
                Err(unsupported(&format!("a tensor of type {}", spec.dtype)))
            }
            Value::Storage(_) | Value::NumpyDtype(_) | Value::EmptyArray | Value::Opaque { .. } => {
                let what = self.graph().describe(value);
                Err(self
                    .no_state_dict(format!("{} is {what}, no tensor", entry(path, name)), STATE_DICT_ADVICE))
            }
            _ => Ok(()),
        }
    }

    /// The first few keys of a dict, for messages.
    fn names(&self, dict: &Dict) -> String {
        const SHOWN: usize = 8;
        let keys: Vec<String> =
            dict.items.iter().take(SHOWN).filter_map(|&(key, _)| self.graph().text(key).map(clip)).collect();
        if keys.is_empty() {
            return String::new();
        }
        let more = if dict.items.len() > SHOWN { ", ..." } else { "" };
        format!(" (it has {}{more})", keys.join(", "))
    }
}

/// A value of a state dict, for messages.
fn entry(path: &[String], name: &str) -> String {
    let full: Vec<&str> = path.iter().map(String::as_str).chain([name]).collect();
    format!("entry `{}`", full.join("."))
}

/// A key, shortened for messages.
fn clip(key: &str) -> String {
    const LONGEST: usize = 60;
    if key.chars().count() <= LONGEST {
        return key.to_owned();
    }
    key.chars().take(LONGEST).chain("...".chars()).collect()
}
