//! Breadth first through every world that can be reached, as stateright does. Unlike its checker,
//! it keeps the graph: a world from which no row of steps without a further fault leads to a good
//! end is as much a finding as a broken law.

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasherDefault, Hasher},
    time::Duration,
};

use chassis::Clock;
use stateright::Model;

use crate::{Event, Protocol, World, fingerprint::fingerprint};

/// Where a search stops, and says so.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Different worlds.
    pub states_max: usize,
    /// From its beginning.
    pub time_max: Duration,
    /// Whether worlds that differ in nothing but the names of epochs are two, as for stateright's
    /// checker. There are a few times as many.
    pub names_matter: bool,
}

/// What a search has seen.
#[derive(Debug)]
pub struct Found {
    /// Different worlds.
    pub states: usize,
    /// Steps to the farthest one.
    pub depth: usize,
    /// How long it took.
    pub took: Duration,
    /// Whether it stopped before it had seen all.
    pub is_truncated: bool,
    /// Properties that don't hold, each with the shortest way there.
    pub violations: Vec<(&'static str, Vec<Event>)>,
    /// Worlds that are at rest and lawful.
    pub good_ends: usize,
    /// Worlds without a way to a good end; counted only if all was seen and no law is broken.
    pub stuck: usize,
    /// The shortest way to one of them.
    pub way_to_stuck: Option<Vec<Event>>,
}

/// What is kept of each world.
struct Node {
    parent: u32,
    /// Which of the parent's events led here.
    event: u16,
    depth: u16,
    is_good: bool,
}

struct Search<'a> {
    protocol: &'a Protocol,
    names_matter: bool,
    nodes: Vec<Node>,
    ids: HashMap<u64, u32, BuildHasherDefault<Same>>,
    /// Steps that are no faults.
    steps: Vec<(u32, u32)>,
}

/// Fingerprints are hashes already.
#[derive(Default)]
struct Same(u64);

impl Hasher for Same {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only fingerprints are hashed");
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

/// Which laws a search judges by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judged {
    /// All of them, and whether a good end can be reached.
    All,
    /// This property.
    Only(&'static str),
    /// Whether a good end can be reached.
    Ends,
}

impl Judged {
    fn includes(self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(only) => only == name,
            Self::Ends => false,
        }
    }
}

/// Searches until everything is seen, something is found, or a bound is met.
pub fn search(protocol: &Protocol, judged: Judged, bounds: Bounds) -> Found {
    let clock = Clock::system();
    let started = clock.now();
    let mut search = Search {
        protocol,
        names_matter: bounds.names_matter,
        nodes: Vec::new(),
        ids: HashMap::default(),
        steps: Vec::new(),
    };
    let mut frontier = VecDeque::new();
    for world in protocol.init_states() {
        search.visit(&world, 0, 0, 0);
        frontier.push_back((0, world));
    }
    let mut properties = protocol.properties();
    properties.retain(|property| judged.includes(property.name));
    let mut found = Found {
        states: 0,
        depth: 0,
        took: Duration::ZERO,
        is_truncated: false,
        violations: Vec::new(),
        good_ends: 0,
        stuck: 0,
        way_to_stuck: None,
    };
    let mut events = Vec::new();
    while let Some((id, world)) = frontier.pop_front() {
        for property in &properties {
            if !(property.condition)(protocol, &world) {
                found.violations.push((property.name, search.way_to(id)));
            }
        }
        if !found.violations.is_empty() {
            break;
        }
        let is_late = id % 1024 == 0 && clock.now().saturating_sub(started) > bounds.time_max;
        if search.nodes.len() > bounds.states_max || is_late {
            found.is_truncated = true;
            break;
        }
        let depth = search.nodes[id as usize].depth;
        events.clear();
        protocol.actions(&world, &mut events);
        for (index, event) in events.iter().enumerate() {
            let Some(next) = protocol.next_state(&world, *event) else { continue };
            let index = u16::try_from(index).expect("a world has few events");
            let (next_id, is_new) = search.visit(&next, id, index, depth + 1);
            if !event.is_fault() && next_id != id {
                search.steps.push((id, next_id));
            }
            if is_new {
                frontier.push_back((next_id, next));
            }
        }
    }
    found.states = search.nodes.len();
    found.depth = search.nodes.last().map_or(0, |node| node.depth.into());
    found.good_ends = search.nodes.iter().filter(|node| node.is_good).count();
    let judges_ends = !matches!(judged, Judged::Only(_));
    if judges_ends && found.violations.is_empty() && !found.is_truncated {
        search.judge_ends(&mut found);
    }
    found.took = clock.now().saturating_sub(started);
    found
}

impl Search<'_> {
    fn visit(&mut self, world: &World, parent: u32, event: u16, depth: u16) -> (u32, bool) {
        let next = u32::try_from(self.nodes.len()).expect("bounded");
        let id = *self.ids.entry(fingerprint(world, self.names_matter)).or_insert(next);
        if id == next {
            let is_good = self.protocol.is_good_end(world);
            self.nodes.push(Node { parent, event, depth, is_good });
        }
        (id, id == next)
    }

    /// Walks back from all good ends.
    fn judge_ends(&self, found: &mut Found) {
        let count = self.nodes.len();
        // Where the steps that lead to a world stand, once they are sorted by it.
        let mut first = vec![0_u32; count + 2];
        for (_, to) in &self.steps {
            first[*to as usize + 2] += 1;
        }
        for index in 2..first.len() {
            first[index] += first[index - 1];
        }
        let mut before = vec![0_u32; self.steps.len()];
        for (from, to) in &self.steps {
            let place = &mut first[*to as usize + 1];
            before[*place as usize] = *from;
            *place += 1;
        }
        let mut can_end: Vec<_> = self.nodes.iter().map(|node| node.is_good).collect();
        let mut todo: Vec<_> = (0..count).filter(|id| can_end[*id]).collect();
        while let Some(id) = todo.pop() {
            for from in &before[first[id] as usize..first[id + 1] as usize] {
                if !std::mem::replace(&mut can_end[*from as usize], true) {
                    todo.push(*from as usize);
                }
            }
        }
        let mut stuck = (0_u32..).zip(&can_end).filter(|(_, can_end)| !**can_end);
        found.way_to_stuck = stuck.next().map(|(id, _)| self.way_to(id));
        found.stuck = can_end.iter().filter(|can_end| !**can_end).count();
    }

    fn way_to(&self, mut id: u32) -> Vec<Event> {
        let mut indexes = Vec::new();
        while id != 0 {
            let node = &self.nodes[id as usize];
            indexes.push(node.event);
            id = node.parent;
        }
        let mut world = self.protocol.init_states().swap_remove(0);
        let mut way = Vec::new();
        for index in indexes.into_iter().rev() {
            let mut events = Vec::new();
            self.protocol.actions(&world, &mut events);
            let event = events[usize::from(index)];
            world = self.protocol.next_state(&world, event).expect("it was possible before");
            way.push(event);
        }
        way
    }
}
