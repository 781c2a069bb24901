"""A worker's side of a round: it watches the gate, sleeps on it, enters, and takes chunks.

``thread_pool.py`` has the protocol and the state, and replaces the words in capitals by numbers.
``pool_caller.py`` has ``take``, by which a worker takes chunks.
"""

__all__ = ["WORKER"]

WORKER = """
define void @work(ptr %ticket) {  ; a worker's life; its shift and number come as an address
entry:
  %both = ptrtoint ptr %ticket to i64
  %place = and i64 %both, 65535
  %shift.wide = lshr i64 %both, 16
  %shift = trunc i64 %shift.wide to i32
  %shift.place = getelementptr %Setup, ptr @setup, i32 0, i32 3
  %cores = alloca [16 x i64]
  call void @cores(ptr %cores)
  %vain = alloca i32  ; how often it was woken since it last helped
  store i32 0, ptr %vain
  br label %idle
idle:  ; watch the gate with new patience
  %round = phi i32 [ -1, %entry ], [ %round, %last ], [ %round, %where ], [ %round, %crowded ],
                   [ %this, %leave ]
  br label %look
look:
  %n = phi i64 [ 0, %idle ], [ %n1, %pause ], [ %n, %join ]
  %gate = load atomic i32, ptr @gate acquire, align 4
  %this = and i32 %gate, MASK
  %new = icmp ne i32 %this, %round
  %bit = and i32 %gate, OPEN
  %open = icmp ne i32 %bit, 0
  %come = and i1 %new, %open
  br i1 %come, label %enter, label %wait
wait:
  %patience = load i64, ptr @patience
  %tired = icmp sge i64 %n, %patience
  br i1 %tired, label %doze, label %pause
pause:
  call void @pause()
  %n1 = add i64 %n, 1
  br label %look
doze:
  %seen = phi i32 [ %gate, %wait ], [ %now, %away ], [ %seen, %sleep ]
  %nap = phi i32 [ NAP, %wait ], [ NAP, %away ], [ %longer, %sleep ]
  store atomic i32 1, ptr @asleep seq_cst, align 4
  %now.shift = load atomic i32, ptr %shift.place seq_cst, align 4
  %quit = icmp ne i32 %now.shift, %shift
  br i1 %quit, label %home, label %last
last:
  %still = load atomic i32, ptr @gate seq_cst, align 4
  %same = icmp eq i32 %still, %seen
  br i1 %same, label %sleep, label %idle
sleep:
  call void @sleep(ptr @gate, i32 %seen, i32 %nap)
  %twice = shl i32 %nap, 1
  %long = icmp ugt i32 %twice, AWAY
  %longer = select i1 %long, i32 %nap, i32 %twice
  %after = load atomic i32, ptr @gate seq_cst, align 4
  %nothing = icmp eq i32 %after, %seen
  br i1 %nothing, label %doze, label %woken
woken:
  %before = load i32, ptr %vain
  %times = add i32 %before, 1
  store i32 %times, ptr %vain
  %useless = icmp ugt i32 %times, VAIN
  br i1 %useless, label %away, label %where
where:
  %core = call i32 @core()
  %theirs = load atomic i32, ptr @home monotonic, align 4
  %same.core = icmp eq i32 %core, %theirs
  %known = icmp sge i32 %core, 0
  %together = and i1 %same.core, %known
  br i1 %together, label %crowded, label %idle
crowded:
  %moved = call i1 @move(ptr %cores, i32 %core)
  br i1 %moved, label %idle, label %away
away:
  store i32 0, ptr %vain
  call void @nap(i32 AWAY)
  %now = load atomic i32, ptr @gate seq_cst, align 4
  br label %doze
enter:  ; the shift cannot change while the gate is as it was: it is open
  %this.shift = load atomic i32, ptr %shift.place acquire, align 4
  %mine = icmp eq i32 %this.shift, %shift
  br i1 %mine, label %join, label %home
join:
  %one = add i32 %gate, 1
  %swap = cmpxchg ptr @gate, i32 %gate, i32 %one acq_rel monotonic
  %in = extractvalue { i32, i1 } %swap, 1
  br i1 %in, label %help, label %look
help:
  store i32 0, ptr %vain
  %kernel = load ptr, ptr @task
  %args.place = getelementptr %Task, ptr @task, i32 0, i32 1
  %args = load ptr, ptr %args.place
  %chunks.place = getelementptr %Task, ptr @task, i32 0, i32 2
  %chunks = load i64, ptr %chunks.place
  %shares.place = getelementptr %Task, ptr @task, i32 0, i32 3
  %shares = load i64, ptr %shares.place
  %mode.place = getelementptr %Task, ptr @task, i32 0, i32 4
  %wanted = load i64, ptr %mode.place
  %mode = call i64 @mode()
  %alike = icmp eq i64 %mode, %wanted
  br i1 %alike, label %start, label %adapt
adapt:
  call void @set_mode(i64 %wanted)
  br label %start
start:
  %scratch = call ptr @workspace(i64 %place)
  %who = sub i64 %place, LEADER
  %end = call i1 @take(ptr %kernel, ptr %args, i64 %chunks, i64 %shares, i64 %who, ptr %scratch,
                       ptr null, ptr null)
  %late = call i1 @late()
  %left = atomicrmw add ptr @left, i32 1 seq_cst
  %waiting = load atomic i32, ptr @waiting seq_cst, align 4
  %ring = icmp ne i32 %waiting, 0
  br i1 %ring, label %tell, label %leave
tell:
  %told = call i64 @wake(ptr @left, i64 1)
  br label %leave
leave:
  br i1 %late, label %away, label %idle
home:
  ret void
}

define internal i1 @late() {  ; whether the caller waits for longer than it worked
  %waiting = load atomic i32, ptr @waiting monotonic, align 4
  %waits = icmp ne i32 %waiting, 0
  %began = load atomic i64, ptr @began monotonic, align 8
  %closed = load atomic i64, ptr @closed monotonic, align 8
  %now = call i64 @clock()
  %worked = sub i64 %closed, %began
  %waited = sub i64 %now, %closed
  %longer = icmp sgt i64 %waited, %worked
  %late = and i1 %waits, %longer
  ret i1 %late
}
"""
