"""The caller's side of a round: it takes a seat, opens the gate, takes chunks, and joins.

``thread_pool.py`` has the protocol and the state, and replaces the words in capitals by numbers.
"""

__all__ = ["CALLER"]

CALLER = """
define i64 @parallel(ptr %kernel, ptr %args, i64 %chunks, ptr %since.given) {
  %since.own = alloca i64
  store i64 0, ptr %since.own
  %none = icmp eq ptr %since.given, null
  %since = select i1 %none, ptr %since.own, ptr %since.given
  %shares = alloca i64  ; of the round that was broken off; 0: there was none
  store i64 0, ptr %shares
  %taken = alloca [SHARES x i64]
  %start = load atomic ptr, ptr @start monotonic, align 8
  %started = icmp eq ptr %start, null
  %several = icmp sgt i64 %chunks, 1
  %asks = icmp ne i64 %chunks, 1
  br i1 %started, label %sit, label %first
first:
  br i1 %several, label %begin, label %sit
begin:  ; a signal that waits would be lost in the callback
  %early = call i1 @look(ptr %since)
  br i1 %early, label %stopped, label %call
call:
  %unable = call i32 %start()
  %able = icmp eq i32 %unable, 0
  br i1 %able, label %sit, label %stopped
sit:
  %seat = call i64 @sit(i64 SEATS)
  %scratch = call ptr @workspace(i64 %seat)
  %workers.place = getelementptr %Setup, ptr @setup, i32 0, i32 2
  %workers = load i32, ptr %workers.place
  %leads = icmp eq i64 %seat, 0
  %helped = icmp ne i32 %workers, 0
  %a = and i1 %leads, %helped
  %b = and i1 %a, %several
  br i1 %b, label %shared, label %alone
shared:
  %where = phi ptr [ %scratch, %sit ], [ %first.scratch, %resume ]
  %broken = call i1 @lead(ptr %kernel, ptr %args, i64 %chunks, ptr %where, ptr %since,
                          ptr %shares, ptr %taken)
  call void @rise(i64 0)
  br i1 %broken, label %listen, label %done
listen:
  %raised = call i1 @look(ptr %since)
  br i1 %raised, label %stopped, label %resume
resume:  ; the chunks that are left are written down as a leader's
  %zero = call i64 @sit(i64 1)
  %first.scratch = call ptr @workspace(i64 0)
  br label %shared
alone:
  %c = phi i64 [ 0, %sit ], [ %c1, %run ], [ %c, %again ]
  %here = phi i64 [ %seat, %sit ], [ %here, %run ], [ %other, %again ]
  %space = phi ptr [ %scratch, %sit ], [ %space, %run ], [ %other.scratch, %again ]
  br i1 %asks, label %ask, label %next
ask:
  %due = call i1 @due(ptr %since)
  br i1 %due, label %leave, label %next
next:
  %more = icmp slt i64 %c, %chunks
  br i1 %more, label %run, label %rise
run:
  call void %kernel(ptr %args, i64 %c, ptr %space)
  %c1 = add i64 %c, 1
  br label %alone
leave:
  call void @rise(i64 %here)
  %error = call i1 @look(ptr %since)
  br i1 %error, label %stopped, label %again
again:
  %other = call i64 @sit(i64 SEATS)
  %other.scratch = call ptr @workspace(i64 %other)
  br label %alone
rise:
  call void @rise(i64 %here)
  br label %done
done:
  ret i64 0
stopped:
  ret i64 1
}

define internal void @rise(i64 %seat) alwaysinline {
  %mine = getelementptr i32, ptr @seats, i64 %seat
  store atomic i32 0, ptr %mine release, align 4
  ret void
}

define internal i64 @sit(i64 %seats) {  ; the number of a seat that was free, among the first
entry:
  br label %try
try:
  %seat = phi i64 [ 0, %entry ], [ %other, %taken ], [ 0, %full ]
  %place = getelementptr i32, ptr @seats, i64 %seat
  %was = atomicrmw xchg ptr %place, i32 1 acquire
  %free = icmp eq i32 %was, 0
  br i1 %free, label %done, label %taken
taken:
  %up = add i64 %seat, 1
  %other = urem i64 %up, %seats
  %all = icmp eq i64 %other, 0
  br i1 %all, label %full, label %try
full:
  call void @nap(i32 NAP)
  br label %try
done:
  ret i64 %seat
}

define internal ptr @workspace(i64 %number) alwaysinline {
  %base = load ptr, ptr @setup
  %stride.place = getelementptr %Setup, ptr @setup, i32 0, i32 1
  %stride = load i64, ptr %stride.place
  %offset = mul i64 %number, %stride
  %address = getelementptr i8, ptr %base, i64 %offset
  ret ptr %address
}

define internal i1 @lead(ptr %kernel, ptr %args, i64 %chunks, ptr %scratch, ptr %since,
                         ptr %kept, ptr %taken) {  ; whether the round was broken off
entry:
  %began = call i64 @clock()
  store ptr %kernel, ptr @task
  %args.place = getelementptr %Task, ptr @task, i32 0, i32 1
  store ptr %args, ptr %args.place
  %chunks.place = getelementptr %Task, ptr @task, i32 0, i32 2
  store i64 %chunks, ptr %chunks.place
  %mode = call i64 @mode()
  %mode.place = getelementptr %Task, ptr @task, i32 0, i32 4
  store i64 %mode, ptr %mode.place
  %shares = call i64 @share(i64 %chunks, ptr %kept, ptr %taken)
  store atomic i32 0, ptr @left monotonic, align 4
  %last = load atomic i32, ptr @gate monotonic, align 4
  %all = or i32 %last, LOW
  %round = add i32 %all, 1
  %opened = or i32 %round, OPEN
  store atomic i32 %opened, ptr @gate seq_cst, align 4
  %sleepers = load atomic i32, ptr @asleep seq_cst, align 4
  %rouse = icmp ne i32 %sleepers, 0
  br i1 %rouse, label %ring, label %work
ring:
  call void @rouse(i64 %chunks)
  br label %work
work:
  %broken = call i1 @take(ptr %kernel, ptr %args, i64 %chunks, i64 %shares, i64 0, ptr %scratch,
                          ptr %since, ptr %taken)
  %before = atomicrmw and ptr @gate, i32 CLOSE acq_rel
  %entered = and i32 %before, COUNT
  br label %look
look:
  %n = phi i64 [ 0, %work ], [ %n1, %pause ]
  %left = load atomic i32, ptr @left acquire, align 4
  %joined = icmp eq i32 %left, %entered
  br i1 %joined, label %done, label %wait
wait:
  %patience = load i64, ptr @patience
  %tired = icmp sge i64 %n, %patience
  br i1 %tired, label %doze, label %pause
pause:
  call void @pause()
  %n1 = add i64 %n, 1
  br label %look
doze:
  %closed = call i64 @clock()
  store atomic i64 %began, ptr @began monotonic, align 8
  store atomic i64 %closed, ptr @closed monotonic, align 8
  store atomic i32 1, ptr @waiting seq_cst, align 4
  br label %nod
nod:
  %still = load atomic i32, ptr @left seq_cst, align 4
  %late = icmp eq i32 %still, %entered
  br i1 %late, label %awake, label %sleep
sleep:
  call void @sleep(ptr @left, i32 %still, i32 NAP)
  br label %nod
awake:
  store atomic i32 0, ptr @waiting monotonic, align 4
  br label %done
done:
  ret i1 %broken
}

define internal void @rouse(i64 %chunks) noinline {  ; wake as many workers as have a chunk to do
  %core = call i32 @core()
  store atomic i32 %core, ptr @home monotonic, align 4
  store atomic i32 0, ptr @asleep seq_cst, align 4
  %others = sub i64 %chunks, 1
  %big = icmp sgt i64 %others, COUNT
  %wanted = select i1 %big, i64 COUNT, i64 %others
  %woken = call i64 @wake(ptr @gate, i64 %wanted)
  %more = icmp eq i64 %woken, %wanted
  br i1 %more, label %again, label %done
again:
  store atomic i32 1, ptr @asleep seq_cst, align 4
  br label %done
done:
  ret void
}

define internal i64 @share(i64 %chunks, ptr %kept, ptr %taken) {
; Cut them into shares, one for each thread, or go on with those of the round that was broken off.
entry:
  %workers.place = getelementptr %Setup, ptr @setup, i32 0, i32 2
  %workers = load i32, ptr %workers.place
  %others = zext i32 %workers to i64
  %threads = add i64 %others, 1
  %few = icmp slt i64 %chunks, %threads
  %wanted = select i1 %few, i64 %chunks, i64 %threads
  %many = icmp sgt i64 %wanted, SHARES
  %most = select i1 %many, i64 SHARES, i64 %wanted
  %before = load i64, ptr %kept
  %fresh = icmp eq i64 %before, 0
  %shares = select i1 %fresh, i64 %most, i64 %before
  store i64 %shares, ptr %kept
  %shares.place = getelementptr %Task, ptr @task, i32 0, i32 3
  store i64 %shares, ptr %shares.place
  br label %set
set:
  %s = phi i64 [ 0, %entry ], [ %s1, %store ]
  br i1 %fresh, label %store, label %recall
recall:
  %taken.place = getelementptr i64, ptr %taken, i64 %s
  %known = load i64, ptr %taken.place
  br label %store
store:
  %n = phi i64 [ 0, %set ], [ %known, %recall ]
  %place = getelementptr [16 x i64], ptr @next, i64 %s
  store atomic i64 %n, ptr %place monotonic, align 8
  %s1 = add i64 %s, 1
  %more = icmp slt i64 %s1, %shares
  br i1 %more, label %set, label %done
done:
  ret i64 %shares
}

define internal i1 @take(ptr %kernel, ptr %args, i64 %chunks, i64 %shares, i64 %who, ptr %scratch,
                         ptr %since, ptr %taken.before) {
; Run chunks until there are no more; the leader, who has a clock, may break the round off.
entry:
  %leads = icmp ne ptr %since, null
  %own = urem i64 %who, %shares
  br label %look
look:  ; for chunks in the own share, then in those of the others
  %s = phi i64 [ %own, %entry ], [ %other, %on ]
  %seen = phi i64 [ 1, %entry ], [ %seen1, %on ]
  %s1 = add i64 %s, 1
  %before = mul i64 %s, %chunks
  %after = mul i64 %s1, %chunks
  %begin = udiv i64 %before, %shares
  %end = udiv i64 %after, %shares
  %place = getelementptr [16 x i64], ptr @next, i64 %s
  br label %next
next:
  br i1 %leads, label %ask, label %grab
ask:
  %due = call i1 @due(ptr %since)
  br i1 %due, label %break, label %grab
grab:
  %taken = atomicrmw add ptr %place, i64 1 monotonic
  %c = add i64 %begin, %taken
  %more = icmp slt i64 %c, %end
  br i1 %more, label %run, label %empty
run:
  call void %kernel(ptr %args, i64 %c, ptr %scratch)
  br label %next
empty:
  %all = icmp eq i64 %seen, %shares
  br i1 %all, label %done, label %on
on:
  %last = icmp eq i64 %s1, %shares
  %other = select i1 %last, i64 0, i64 %s1
  %seen1 = add i64 %seen, 1
  br label %look
done:
  ret i1 0
break:
  %b = phi i64 [ 0, %ask ], [ %b1, %break ]
  %counter = getelementptr [16 x i64], ptr @next, i64 %b
  %were = atomicrmw xchg ptr %counter, i64 NONE monotonic
  %record = getelementptr i64, ptr %taken.before, i64 %b
  store i64 %were, ptr %record
  %b1 = add i64 %b, 1
  %rest = icmp slt i64 %b1, %shares
  br i1 %rest, label %break, label %broken
broken:
  ret i1 1
}
"""
