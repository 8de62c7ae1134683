//! The stories of the contract, as the interpreter beside this file reads them. Each starts with an
//! empty keeper.

pub(super) const STORIES: [(&str, &str); 25] = [
    (
        "units are taken one request after the other, until they are gone",
        "
        load e1 stock=5 -> ok
        peek -> open e1 v1 left 5
        reserve e1 a u1 2 -> held, left 3
        peek -> open e1 v2 left 3
        reserve e1 b u2 2; c u3 2; d u4 1; e u5 1 -> held, sold out, held, sold out, left 0
        peek -> open e1 v4 left 0
        reserve e1 f u6 1 -> sold out, left 0
        find e1 a b c d e f -> open, open, nothing, open, nothing, nothing
        count -> e1 stock 0, open 3/5, placed 0/0, tombstones 0, users 2/5, movement 0, 0 s",
    ),
    (
        "a known order id is answered with what is stored, before any other rule",
        "
        load e1 stock=2 limit=2 z u9 1 placed; y u9 1 rejected; x u9 1 released -> ok
        reserve e1 a u1 2; a u1 2; a u1 2 -> held, open, open, left 0
        # Not even what the request says matters.
        reserve e1 a u2 1 -> open, left 0
        reserve e1 paused a u1 2 ends=-1m -> open, left 0
        reserve e1 paused z u9 1 ends=-1m; y u9 1; x u9 1 -> placed, rejected, released, left 0
        pass 3h -> ok
        reserve e1 a u1 2; z u9 1 -> open, placed, left 0
        peek -> open e1 v2 left 0",
    ),
    (
        "before the window all else is silent",
        "
        load e1 stock=0 limit=1 opens=+1m closes=+2m -> ok
        reserve e1 paused a u1 2 ends=-1s -> not open, left 0
        pass 1m -> ok
        reserve e1 a u1 1 -> sold out, left 0",
    ),
    (
        "after the window ticket, pause, limit and stock are silent",
        "
        load e1 stock=0 limit=1 opens=-2m closes=-1m -> ok
        reserve e1 paused a u1 2 ends=-1s -> closed, left 0",
    ),
    (
        "the window closes by the ledger's clock",
        "
        load e1 stock=5 opens=-2m closes=+30m -> ok
        reserve e1 a u1 1 -> held, left 4
        pass 30m -> ok
        reserve e1 b u2 1 -> closed, left 4",
    ),
    (
        "a ticket past its end beats pause, limit and stock",
        "
        load e1 stock=0 limit=1 -> ok
        reserve e1 paused a u1 2 ends=-1s -> ticket expired, left 0",
    ),
    (
        "a pause beats limit and stock, and is over when it is over",
        "
        load e1 stock=1 limit=1 -> ok
        reserve e1 paused a u1 2; b u2 1 -> paused, paused, left 1
        reserve e1 b u2 1 -> held, left 0",
    ),
    (
        "the limit beats the stock, and counts what a user has",
        "
        load e1 stock=4 limit=2 z u3 2 placed; y u4 2 released -> ok
        reserve e1 a u1 1; b u1 1; c u1 1 -> held, held, limit reached, left 2
        reserve e1 d u2 3; e u2 2; f u2 1 -> limit reached, held, limit reached, left 0
        reserve e1 g u3 1; h u4 1 -> limit reached, sold out, left 0
        reserve e1 i u5 4294967295 -> limit reached, left 0",
    ),
    (
        "no quantity is too large to be refused",
        "
        load e1 stock=4294967295 limit=4294967295 -> ok
        reserve e1 a u1 4294967295 -> held, left 0
        reserve e1 b u1 4294967295 -> limit reached, left 0
        reserve e1 c u2 4294967295 -> sold out, left 0",
    ),
    (
        "an attempt takes a hold for ten seconds, and not later",
        "
        load e1 stock=2 limit=2 -> ok
        reserve e1 a u1 1 placed=-5s; b u2 1 placed=-10s; c u3 1 -> held, too late, held, left 0
        reserve e1 a u1 1 placed=-1h -> open, left 0
        # What is said anyway is said first.
        reserve e1 d u1 2 placed=-1h; e u4 1 placed=-1h -> limit reached, sold out, left 0
        find e1 b -> nothing",
    ),
    (
        "who will say that there is nothing bars what is under way",
        "
        load e1 stock=9 -> ok
        reserve e1 a u1 1 -> held, left 8
        find e1 bars a b -> open, nothing
        reserve e1 b u2 1 placed=-1s; b u2 1 placed=-0s -> too late, too late, left 8
        reserve e1 c u3 1 placed=-1s -> held, left 7
        find e1 bars b -> nothing
        pass 1s -> ok
        reserve e1 b u2 1 placed=-0s; a u1 1 placed=-9s -> held, open, left 6
        # Who only looks bars nothing.
        find e1 d -> nothing
        reserve e1 d u4 1 placed=-1s -> held, left 5
        # A bar ends with its epoch: what was placed in it is told apart by that.
        find e1 bars e -> nothing
        load e2 stock=9 -> ok
        reserve e2 e u5 1 placed=-1s -> held, left 8",
    ),
    (
        "a clock that went back by more than a second is not believed",
        "
        load e1 stock=9 opens=-2h -> ok
        reserve e1 a u1 1 -> held, left 8
        back 1s -> ok
        reserve e1 b u2 1 -> held, left 7
        back 5s -> ok
        reserve e1 c u3 1 -> clock back
        find e1 bars a c -> clock back
        peek -> open e1 v3 left 7
        settle e1 g1 a placed -> applied
        @2 load e5 stock=1 -> ok
        @2 reserve e5 z u9 1 -> held, left 0
        pass 6s -> ok
        reserve e1 c u3 1 -> held, left 6
        back 1h -> ok
        reserve e1 d u4 1 -> clock back
        # Whoever loads it anew goes on from what the clock says then.
        load e2 stock=6 opens=-2h a u1 1 placed -> ok
        reserve e2 d u4 1 -> held, left 5",
    ),
    (
        "a shard that isn't there is fenced, whatever is asked",
        "
        peek -> fenced
        reserve e1 a u1 1 -> fenced
        settle e1 g1 a placed -> fenced
        find e1 a -> fenced
        due 10 -> fenced
        postpone e1 a -> fenced
        holds 10 -> fenced
        count -> fenced
        known -> fenced
        begin e1 -> mark lost
        stage e1 a u1 1 placed -> identity changed",
    ),
    (
        "another epoch is stale, but a closed shard is fenced first",
        "
        load e1 stock=5 -> ok
        reserve e2 a u1 1 -> stale, e1 is loaded
        find e2 a -> stale, e1 is loaded
        postpone e2 a -> stale, e1 is loaded
        close e3 -> ok
        reserve e2 a u1 1 -> fenced
        reserve e1 a u1 1 -> fenced
        find e1 a -> fenced
        due 10 -> fenced
        postpone e1 a -> fenced
        count -> fenced
        peek -> closed e3",
    ),
    (
        "what the books decided stays decided",
        "
        load e1 stock=9 limit=2 -> ok
        reserve e1 a u1 2; b u2 2; c u3 2 -> held, held, held, left 3
        settle e1 g1 a placed; b rejected; x placed -> applied, 1 rejected
        find e1 a b c x -> placed, rejected, open, nothing
        known -> e1 limit 2: a placed 2, b rejected, c open 2
        # The units of b are the user's no more; the stock doesn't get them back.
        count -> e1 stock 3, open 1/2, placed 1/2, tombstones 1, users 2/4, movement 0, 0 s
        reserve e1 a u1 2; b u2 2; d u2 2 -> placed, rejected, held, left 1
        settle e1 g2 a placed; b placed; b rejected -> applied
        find e1 a b -> placed, rejected
        # Books that change their mind are as wrong as books that refuse a hold.
        settle e1 g3 a rejected -> applied, 1 rejected
        settle e1 g3 a rejected -> applied
        count -> e1 stock 1, open 2/4, placed 0/0, tombstones 2, users 2/4, movement 0, 0 s",
    ),
    (
        "a release gives nothing until its movement comes",
        "
        load e1 stock=3 limit=2 -> ok
        reserve e1 a u1 2 -> held, left 1
        settle e1 g1 a released -> applied
        find e1 a -> placed
        reserve e1 b u1 1 -> limit reached, left 1
        count -> e1 stock 1, open 0/0, placed 1/2, tombstones 0, users 2/2, movement 0, 0 s",
    ),
    (
        "a settle of another epoch or of older books changes nothing",
        "
        load e1 stock=3 generation=7 -> ok
        reserve e1 a u1 1; b u1 1 -> held, held, left 1
        settle e2 g9 a placed -> other epoch
        settle e1 g6 a placed -> lower than 7
        find e1 a -> open
        settle e1 g8 x placed -> applied
        settle e1 g7 a placed -> lower than 8
        settle e1 g8 a placed -> applied
        # Who compares nothing raises nothing.
        settle e1 b placed -> applied
        due 9 -> e1 g8:
        settle e1 g8 b placed -> applied",
    ),
    (
        "only the attempt whose mark stands may stage and activate, once",
        "
        begin e1 -> mark lost
        close e1 -> ok
        close e1 -> ok
        peek -> closed e1
        begin e2 -> mark lost
        activate e1 stock=5 orders=0 -> identity changed
        begin e1 -> ok
        activate e2 stock=5 orders=0 -> mark lost
        stage e2 a u1 1 placed -> mark lost
        stage e1 a u1 1 placed; b u2 1 rejected -> ok
        activate e1 stock=5 orders=3 -> incomplete: 2
        stage e1 b u2 1 rejected; c u3 2 placed -> ok
        # A late twin of the close takes nothing away.
        close e1 -> ok
        activate e1 stock=5 orders=3 watermark=4 -> ok
        activate e1 stock=5 orders=3 -> already active
        stage e1 d u4 1 placed -> mark lost
        count -> e1 stock 5, open 0/0, placed 2/3, tombstones 1, users 2/3, movement 4, 0 s
        # Nor does an epoch begin twice, even if that twin comes after it.
        close e1 -> ok
        reserve e1 d u4 1 -> fenced
        begin e1 -> mark lost
        activate e1 stock=5 orders=0 -> already active",
    ),
    (
        "an overtaken attempt can't activate what it has staged",
        "
        close e1 -> ok
        begin e1 -> ok
        stage e1 a u1 1 placed -> ok
        close e2 -> ok
        stage e1 b u1 1 placed -> mark lost
        activate e1 stock=5 orders=1 -> mark lost
        begin e2 -> ok
        activate e1 stock=5 orders=1 -> mark lost
        activate e2 stock=5 orders=1 -> incomplete: 0
        close e1 -> ok
        activate e2 stock=5 orders=0 -> mark lost
        # What it staged before it was overtaken is gone.
        activate e1 stock=5 orders=0 -> incomplete: 0
        begin e1 -> ok
        stage e1 a u1 1 placed -> ok
        begin e1 -> ok
        activate e1 stock=5 orders=0 -> ok
        find e1 a -> nothing",
    ),
    (
        "a keeper that lost everything admits nothing until it is loaded",
        "
        load e1 stock=5 -> ok
        reserve e1 a u1 1 -> held, left 4
        close e2 -> ok
        begin e2 -> ok
        restart -> ok
        peek -> fenced
        reserve e1 a u1 1 -> fenced
        holds 10 -> fenced
        stage e2 a u1 1 placed -> identity changed
        activate e2 stock=5 orders=0 -> identity changed
        # Not even if the new one has the mark.
        close e2 -> ok
        peek -> closed e2
        activate e2 stock=5 orders=0 -> identity changed
        load e3 stock=4 a u1 1 placed -> ok
        reserve e3 a u1 1; b u2 1 -> placed, held, left 3
        reserve e1 c u3 1 -> stale, e3 is loaded",
    ),
    (
        "only the attempt whose mark stands may forget a shard, and nothing of it is left",
        "
        forget e1 -> ok
        load e1 stock=5 limit=2 -> ok
        reserve e1 a u1 1; b u2 2 -> held, held, left 2
        settle e1 g1 a placed -> applied
        forget e1 -> mark lost
        close e2 -> ok
        forget e1 -> mark lost
        close e3 -> ok
        forget e2 -> mark lost
        find e1 a -> fenced
        holds 10 -> e1 g1: b
        forget e3 -> ok
        peek -> fenced
        holds 10 -> fenced
        reserve e1 c u3 1 -> fenced
        settle e1 g2 b placed -> fenced
        count -> fenced
        begin e3 -> mark lost
        # Whoever didn't hear the answer asks again.
        forget e3 -> ok
        @2 load e1 stock=1 -> ok
        forget e3 -> ok
        @2 peek -> open e1 v1 left 1
        # It may be loaded anew, from the books.
        load e4 stock=3 limit=2 a u1 1 placed -> ok
        reserve e4 a u1 1; b u2 2 -> placed, held, left 1",
    ),
    (
        "what an attempt has staged is forgotten with the shard",
        "
        load e1 stock=5 -> ok
        close e2 -> ok
        begin e2 -> ok
        stage e2 a u1 1 placed -> ok
        forget e2 -> ok
        close e2 -> ok
        activate e2 stock=5 orders=1 -> incomplete: 0",
    ),
    (
        "holds come due, are put off, and come due again after twice the time",
        "
        load e1 stock=9 generation=3 -> ok
        reserve e1 a u1 1; b u2 1; c u3 1 -> held, held, held, left 6
        due 10 -> e1 g3:
        pass 5s -> ok
        due 2 -> e1 g3: a b
        due 10 -> e1 g3: a b c
        postpone e1 a x -> ok
        settle e1 g3 b placed -> applied
        due 10 -> e1 g3: c
        pass 5s -> ok
        due 10 -> e1 g3: c
        pass 5s -> ok
        # c waits since 10 s over its time, a since it is just over.
        due 10 -> e1 g3: c a+1
        postpone e1 a c -> ok
        pass 10s -> ok
        due 10 -> e1 g3: c+1
        pass 10s -> ok
        due 10 -> e1 g3: c+1 a+2
        count -> e1 stock 6, open 2/2, placed 1/1, tombstones 0, users 1/3, movement 0, 35 s
        # A hold from the future is old: the clock jumped back.
        reserve e1 d u4 1 -> held, left 5
        postpone e1 a c d -> ok
        due 10 -> e1 g3:
        back 2m -> ok
        due 10 -> e1 g3: d+1 c+2 a+3
        postpone e1 a c d -> ok
        due 10 -> e1 g3:
        count -> e1 stock 5, open 3/3, placed 1/1, tombstones 0, users 1/4, movement 0, 0 s",
    ),
    (
        "a hold that two have seen due is put off once",
        "
        load e1 stock=9 -> ok
        reserve e1 a u1 1; b u2 1 -> held, held, left 7
        pass 5s -> ok
        due 10 -> e1 g0: a b
        postpone e1 a -> ok
        # The other one has seen it where it isn't any more.
        postpone e1 a b -> ok
        postpone e1 a b -> ok
        pass 10s -> ok
        due 10 -> e1 g0: a+1 b+1
        postpone e1 a b -> ok
        pass 20s -> ok
        due 10 -> e1 g0: a+2 b+2",
    ),
    (
        "all open holds can be read page by page, also of a closed shard",
        "
        load e1 stock=9 -> ok
        holds 2 -> e1 g0:
        reserve e1 a u1 1; b u2 1; c u3 1; d u4 1; e u5 1 -> held, held, held, held, held, left 4
        settle e1 g2 b placed -> applied
        pass 5s -> ok
        postpone e1 a -> ok
        holds 2 -> e1 g2: c d
        holds 2 more -> e1 g2: e a+1
        holds 2 more -> e1 g2:
        close e2 -> ok
        holds 3 -> e1 g2: c d e
        # It is settled too, and then its holds are fewer.
        settle e1 g3 e placed; d placed -> applied
        holds 3 more -> e1 g3: a+1
        settle e2 g4 a placed -> other epoch
        holds 10 -> e1 g3: c a+1
        close e3 -> ok
        holds 10 -> e1 g3: c a+1
        load e4 stock=5 -> ok
        holds 10 -> e4 g0:
        find e4 a c -> nothing, nothing",
    ),
];
