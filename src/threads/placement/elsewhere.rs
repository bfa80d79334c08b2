//! Other systems: the processors of threads are not known, and no thread is moved.

pub(super) fn here() -> Option<usize> {
    None
}

#[derive(Debug, Default)]
pub(super) struct State;

impl State {
    pub(super) fn with_keeper() -> Self {
        Self
    }
    pub(super) fn join(&mut self, _worker: usize) {}
    pub(super) fn leave(&mut self) {}
    pub(super) fn seen(&mut self, _worker: usize) {}
    pub(super) fn make_way(&mut self) {}
    pub(super) fn stands_at(&self, _worker: usize) -> Option<u64> {
        None
    }
    pub(super) fn may_use(&self, _worker: usize, _processor: usize) -> bool {
        false
    }
    pub(super) fn put(&mut self, _worker: usize, _processor: usize) -> bool {
        false
    }
    pub(super) fn going(&mut self, _worker: usize, _processor: usize) -> Going {
        Going
    }
    pub(super) fn gone(&mut self, _worker: usize, _going: &Going) {}
}

pub(super) struct Going;

impl Going {
    pub(super) fn go(&self) {}
}
