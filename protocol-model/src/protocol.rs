//! The model: which events are possible in a world, and what each makes of it.

use inventory_svc::loading::{Cause, attempt::Action};
use stateright::{Model, Property};

use crate::{
    buyers::Purchase,
    inventory::LookUp,
    loader::has_twins,
    properties,
    settings::{Budget, Fault, Settings},
    world::{Event, Settling, Twin, World},
};

/// The protocol in the world of some settings.
#[derive(Debug, Clone)]
pub struct Protocol {
    /// Which world.
    pub settings: Settings,
    first: World,
}

impl Protocol {
    /// With a shard that is open already, if the settings say so.
    pub fn new(settings: Settings) -> Self {
        let mut first = World::new(settings.faults);
        if settings.is_open {
            first = opened(&settings);
        }
        first.keep_copies();
        Self { settings, first }
    }

    /// A world in which everything is decided and right.
    pub fn is_good_end(&self, world: &World) -> bool {
        world.is_at_rest() && world.is_lawful_at_rest(&self.settings)
    }
}

/// Opens the shard without any fault, by the model's own steps.
fn opened(settings: &Settings) -> World {
    let faults = Budget::default();
    let healthy = Settings { removed: &[], faults, loaders: 1, ..settings.clone() };
    let mut world = World::new(Budget::default());
    let begun = world.begin(&healthy, 0, Cause::Opening);
    assert_eq!(begun, Some(()), "a new shard may be opened");
    while world.services[0].load.is_some() {
        let mut next = world.clone();
        match next.load(&healthy, 0, Twin::Answered) {
            Some(()) => world = next,
            None => panic!("an opening waits for nobody"),
        }
        while world.can_consume() {
            world.consume(&healthy, Settling::Lost, None);
        }
    }
    world.faults = settings.faults;
    world
}

impl Event {
    /// Whether nothing makes it happen: without it, a good end must still be possible.
    pub fn is_fault(&self) -> bool {
        match self {
            Self::GatewayDies(_)
            | Self::LoaderDies(_)
            | Self::Lag
            | Self::FailOver(_)
            | Self::ComeBackEmpty
            | Self::LoseTail(_)
            | Self::RestoreCatalog(_)
            | Self::GiveAgain
            | Self::RestoreBooks(_)
            | Self::ConsumeBarred(_)
            | Self::Load(_, Twin::Silent | Twin::Late)
            | Self::Consume(Settling::Late(_)) => true,
            Self::AskCatalog(_)
            | Self::HearCatalog(_)
            | Self::Reconnect(_)
            | Self::CheckLease(_)
            | Self::Reserve(_)
            | Self::Record(_)
            | Self::AskBooks
            | Self::AskLedger
            | Self::Roll(_)
            | Self::PerformRoll
            | Self::Consume(Settling::Through(_) | Settling::Lost)
            | Self::Begin(..)
            | Self::Again(_)
            | Self::Load(_, Twin::Answered)
            | Self::WaitOver(_)
            | Self::LateArrives
            | Self::OldEnds
            | Self::CatchUp => false,
        }
    }
}

impl Model for Protocol {
    type State = World;
    type Action = Event;

    fn init_states(&self) -> Vec<World> {
        vec![self.first.clone()]
    }

    fn actions(&self, world: &World, events: &mut Vec<Event>) {
        let settings = &self.settings;
        for service in 0..2 {
            if world.is_needed(settings, service) {
                events.push(Event::AskCatalog(service));
            }
            if world.services[service].heard_soon.is_some() {
                events.push(Event::HearCatalog(service));
            }
            events.push(Event::Reconnect(service));
            loads(settings, world, service, events);
        }
        for (index, purchase) in world.purchases.iter().enumerate() {
            match purchase {
                Purchase::Idle if world.can_check_lease(settings, index) => {
                    events.push(Event::CheckLease(index));
                }
                Purchase::Idle | Purchase::Done => {}
                Purchase::Leased { .. } => events.push(Event::Reserve(index)),
                Purchase::Held { .. } => {
                    events.push(Event::Record(index));
                    if world.faults.has(Fault::GatewayDeath) {
                        events.push(Event::GatewayDies(index));
                    }
                }
            }
        }
        match world.look_up {
            LookUp::Idle if settings.look_up.is_some() => events.push(Event::AskBooks),
            LookUp::NoRow => events.push(Event::AskLedger),
            LookUp::Retired(_) => events.push(Event::AskBooks),
            LookUp::Idle | LookUp::Done => {}
        }
        let rolling = if world.redis.before.is_some() { 2 } else { 1 };
        events.extend((0..rolling).map(Event::Roll));
        if world.rolled.is_some() {
            events.push(Event::PerformRoll);
        }
        consumes(settings, world, events);
        if world.late.is_some() {
            events.push(Event::LateArrives);
        }
        if world.redis.before.is_some() {
            events.push(Event::OldEnds);
        }
        if world.redis.misses_nothing() {
            events.push(Event::CatchUp);
        }
        world.store_faults(events);
    }

    fn next_state(&self, before: &World, event: Event) -> Option<World> {
        let mut world = before.clone();
        let settings = &self.settings;
        match event {
            Event::AskCatalog(service) => world.ask_catalog(settings, service)?,
            Event::HearCatalog(service) => world.hear_catalog(settings, service)?,
            Event::Reconnect(service) => world.reconnect(service)?,
            Event::CheckLease(purchase) => world.check_lease(settings, purchase)?,
            Event::Reserve(purchase) => world.reserve(settings, purchase)?,
            Event::Record(purchase) => world.record(settings, purchase)?,
            Event::GatewayDies(purchase) => world.gateway_dies(purchase)?,
            Event::AskBooks => world.ask_books(settings)?,
            Event::AskLedger => world.ask_ledger(settings)?,
            Event::Roll(service) => world.roll(settings, service)?,
            Event::PerformRoll => world.perform_roll(settings)?,
            Event::Consume(settling) => world.consume(settings, settling, None)?,
            Event::ConsumeBarred(settling) => {
                let barred = world.could_be_barred(settings)?;
                world.consume(settings, settling, Some(barred))?;
            }
            Event::Begin(service, cause) => world.begin(settings, service, cause)?,
            Event::Again(service) => world.again(settings, service)?,
            Event::Load(service, twin) => world.load(settings, service, twin)?,
            Event::WaitOver(service) => world.wait_over(settings, service)?,
            Event::LoaderDies(service) => world.loader_dies(service)?,
            Event::LateArrives => world.late_arrives(settings)?,
            Event::Lag => world.redis.lag(),
            Event::CatchUp => world.redis.catch_up(),
            Event::FailOver(is_split) => world.fail_over(settings, is_split)?,
            Event::ComeBackEmpty => world.come_back_empty(settings),
            Event::OldEnds => world.old_ends()?,
            Event::LoseTail(offset) => world.lose_tail(offset),
            Event::RestoreCatalog(copy) => world.restore_catalog(copy)?,
            Event::GiveAgain => world.give_again(),
            Event::RestoreBooks(copy) => world.restore_books(copy)?,
        }
        // A replica that falls behind does so just before something that it misses.
        if before.redis.misses_nothing() && world.redis.misses_nothing() {
            return None;
        }
        world.forget_what_nobody_asks(settings);
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}

fn loads(settings: &Settings, world: &World, service: usize, events: &mut Vec<Event>) {
    for (cause, _) in world.causes(settings, service) {
        events.push(Event::Begin(service, cause));
    }
    let Some(load) = &world.services[service].load else { return };
    if world.faults.has(Fault::LoaderDeath) {
        events.push(Event::LoaderDies(service));
    }
    match load.next() {
        None => events.push(Event::Again(service)),
        Some(Action::Wait(_)) => events.push(Event::WaitOver(service)),
        Some(action) => {
            events.push(Event::Load(service, Twin::Answered));
            if !has_twins(action) {
                return;
            }
            if world.faults.has(Fault::Silence) {
                events.push(Event::Load(service, Twin::Silent));
            }
            if world.faults.has(Fault::LateCall) && world.late.is_none() {
                events.push(Event::Load(service, Twin::Late));
            }
        }
    }
}

fn consumes(settings: &Settings, world: &World, events: &mut Vec<Event>) {
    if !world.can_consume() {
        return;
    }
    if !world.would_settle() {
        events.push(Event::Consume(Settling::Lost));
        return;
    }
    let through = if world.redis.before.is_some() { 2 } else { 1 };
    let may_be_late = world.faults.has(Fault::LateSettle) && world.late.is_none();
    let mut ways = vec![Settling::Lost];
    for service in 0..through {
        ways.push(Settling::Through(service));
        if may_be_late {
            ways.push(Settling::Late(service));
        }
    }
    events.extend(ways.iter().copied().map(Event::Consume));
    if world.faults.has(Fault::Barred) && world.could_be_barred(settings).is_some() {
        events.extend(ways.into_iter().map(Event::ConsumeBarred));
    }
}
