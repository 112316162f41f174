# Sourced before the shell line of each rule.
#
# attempt LOG MEM_MB MINUTES COMMAND...: run a step with its output in LOG, which Snakemake deletes when the step is repeated.
# The logs of a failed attempt and of those that follow are kept beside it, as NAME.attempt1.log, NAME.attempt2.log. Their
# first line has what was requested, the last one the exit status; if the latter is missing, this shell was killed, too.
attempt() {
    local log=$1 mem_mb=$2 minutes=$3 number=1 status=0 kept
    shift 3
    while [ -e "${log%.log}.attempt$number.log" ]; do number=$((number + 1)); done
    kept=${log%.log}.attempt$number.log
    echo "[attempt $number: $mem_mb MB, $minutes minutes, job ${SLURM_JOB_ID:-${LSB_JOBID:-${PBS_JOBID:-none}}} on $HOSTNAME]" > "$kept"
    # Signals are for the step: this shell waits for it, and its log is written to the end.
    trap : TERM INT
    "$@" 2>&1 | (trap '' TERM INT && tee "$log" | tee -a "$kept") || status=$?
    echo "[exit status $status after $SECONDS s]" >> "$kept"
    if [ "$status" = 0 ] && [ "$number" = 1 ]; then rm -f "$kept"; fi
    return "$status"
}
