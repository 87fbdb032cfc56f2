package scenarios

// Guarantees about a cluster, which its observer judges.
const (
	oneLeaderPerEpoch    = "one-leader-per-epoch"
	epochsForward        = "epochs-forward"
	logMatching          = "log-matching"
	committedDurable     = "committed-is-durable"
	hwForward            = "hw-forward"
	leaderInISR          = "leader-in-isr"
	isrAlive             = "isr-alive"
	isrAgreement         = "isr-agreement"
	countsTruly          = "counts-truly"
	oneRaftLeaderPerTerm = "one-raft-leader-per-term"
	raftLogMatching      = "raft-log-matching"
	leaderResigns        = "leader-resigns"
	decidesOnNewest      = "decides-on-newest"
	imageAgreement       = "image-agreement"
	compactedAlike       = "compacted-alike"
	converges            = "converges"
)

// clusterGuarantees says in a sentence what each of them is.
var clusterGuarantees = []Guarantee{
	{oneLeaderPerEpoch, "at most one broker ever leads a partition in a leader epoch"},
	{epochsForward, "leader, partition, broker and producer epochs and the controllers' terms never go back"},
	{logMatching, "two replicas that have a batch of one offset and leader epoch have the same batches up to there"},
	{committedDurable, "every record below a high watermark that was ever exposed is on every in-sync replica, on disk with log.flush=ack"},
	{hwForward, "a replica's high watermark never goes back while it runs, nor its log behind it; a follower without a record has none to speak of"},
	{leaderInISR, "the leader of a partition is in its in-sync set"},
	{isrAlive, "no fenced or shutting-down broker is added to an in-sync set, and none that has not told the leader in its present life what it holds"},
	{isrAgreement, "the controllers' in-sync set is a subset of the one that the leader acts on"},
	{countsTruly, "what a leader counts of a follower the follower holds, and has said in the leader's epoch"},
	{oneRaftLeaderPerTerm, "at most one controller ever leads in a term"},
	{raftLogMatching, "two controllers that have an entry of one index and term have the same entries up to there, and what is committed stays"},
	{leaderResigns, "a controller that another has overtaken leads no longer than a few election time-outs by its own clock"},
	{decidesOnNewest, "a controller decides while it leads, and knows everything that was decided before; it takes nothing for the newest that is not"},
	{imageAgreement, "all nodes that applied the metadata up to an offset have the same image"},
	{throttleHolds, "what is copied of throttled replicas that are not in sync stays below the rate times the time, and a burst"},
	{compactedAlike, "replicas of a compacted partition keep the same last record of each key, though each compacts by itself"},
	{converges, "after the heal in-sync sets are full and replicas equal, log starts included, within the bound"},
}
