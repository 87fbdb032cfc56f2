package scenarios

import (
	"slices"

	"github.com/klammlog/klamm/checker"
	"github.com/klammlog/klamm/checker/delivery"
	"github.com/klammlog/klamm/checker/metadata"
)

// A Guarantee is a promise that runs are held to.
type Guarantee struct{ Name, Promise string }

// Guarantees that observers of the node judge, rather than the checker of what
// clients saw.
const (
	offsetsDense    = "offsets-dense"
	recoversAcked   = "recovers-what-it-acked"
	stateChecks     = "state-checks"
	delivers        = "delivers"
	retentionKeeps  = "retention-keeps"
	answersInOrder  = "answers-in-order"
	topicsApart     = "topics-apart"
	bounded         = "bounded"
	returnsToRest   = "returns-to-rest"
	badInputRefused = "bad-input-refused"
	leaderMoves     = "leader-moves"
	survivorServes  = "survivor-serves"
	noRot           = "no-rot-of-its-own"
	followersWait   = "followers-wait"
	servesSound     = "serves-sound"

	metadataLinearizable = metadata.Guarantee
	describesTruly       = "describes-truly"
)

// promises says in a sentence what each guarantee is.
var promises = []Guarantee{
	{string(checker.Agreement), "one (partition, offset) never shows two values, to anyone, ever"},
	{string(checker.NoInvention), "every record read was written by somebody, key, value, headers and all"},
	{string(checker.NoLostAck), "an acknowledged record is read by everyone who reads past its offset, at the end too"},
	{string(checker.NoDuplicate), "one send of an idempotent producer is at one offset"},
	{string(checker.ProducerOrder), "the records of one producer in one partition are in send order"},
	{string(checker.NoFailedVisible), "a definitely failed write is never read"},
	{string(checker.MonotonicPoll), "one consumer reads offsets in order"},
	{string(checker.NoPollSkip), "one consumer reads offsets without gaps"},
	{string(checker.AckedOffsetTrue), "the offset in an acknowledgement is where the record is"},
	{string(checker.OffsetsForward), "earliest, latest and by-time offsets never go back"},
	{string(checker.ByTimeFirst), "a lookup by time tells the first record that is not older"},
	{string(checker.LinearizableLog), "append, read and latest-offset are linearizable per partition"},
	{string(checker.ReadCommittedOnly), "nothing above the high watermark is served: what was read once stays"},
	{string(checker.CompactedState), "who reads a compacted partition sees each key's last record, or nothing of a deleted key"},
	{string(checker.UncleanBounded), "with unclean elections what is lost is a suffix, and nothing below where the logs parted"},
	{offsetsDense, "log start <= high watermark <= log end; offsets of a log follow each other"},
	{recoversAcked, "after any crash, recovery keeps every byte that was held as log.flush promises"},
	{delivers, "an idempotent producer with more time than the faults have gets every record acknowledged"},
	{retentionKeeps, "retention deletes the oldest segments only, leaves retention.bytes, and takes nothing younger than retention.ms"},
	{answersInOrder, "the answers on a connection come in the order of its requests, one each, and can be decoded"},
	{topicsApart, "a consumer does not take its position in a deleted topic to another of that name"},
	{bounded, "queues, caches, open files, tasks and memory of a node stay under their limits: klamm list bounds"},
	{returnsToRest, "when every client has left, a node holds nothing for them any more"},
	{badInputRefused, "what is no request, or no batch, gets an error or the end of its connection, in time, and never into a log"},
	{metadataLinearizable, "creating, deleting, growing and configuring topics and brokers is linearizable, whatever crashed meanwhile"},
	{describesTruly, "what a broker tells of itself, its topics, settings, producers and directories does not contradict itself"},
	{leaderMoves, "when a broker dies its partitions have another leader within the session time-out and a second, or one that has died too; two elections more if the controller died too; four times that if what controllers tell each other was lost on purpose"},
	{survivorServes, "the last broker that is left of those in sync takes writes"},
	{followersWait, "a replica that lacks what its leader has told is committed says so, and never that the offset is out of range; in the end each has it"},
	{servesSound, "what rots on a disk is not served: no broker gives a consumer a batch that contradicts its checksum"},
	{noRot, "a node whose disk keeps what it is given takes no part of a log for rotten"},
	{string(delivery.AtMostOnce), "a group that commits, then processes, processes no record twice; it may miss some after a crash, or a commit of unknown outcome"},
	{string(delivery.AtLeastOnce), "a group that processes, then commits, processes every record; some may be twice after a crash"},
	{string(delivery.ExactlyOnce), "a group whose output keeps the highest processed offset has every record's effect once"},
	{string(delivery.GroupExclusive), "in one generation a partition has one owner, and who lost it cannot commit for it"},
	{string(delivery.GroupBroadcast), "every group receives every record, whatever other groups do"},
	{string(delivery.CommitForward), "no acknowledged commit is lost, and a committed offset moves back by nobody's hand, but for a commit of unknown outcome that comes late, in a group that does not commit first"},
	{stateChecks, "every stateful part of a node finds its own invariants intact"},
}

// Guarantees returns all guarantees that are judged.
func Guarantees() []Guarantee { return slices.Concat(promises, clusterGuarantees, groupGuarantees) }
