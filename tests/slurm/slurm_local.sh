#!/usr/bin/env bash
# Start / stop a private one-node SLURM cluster in a directory (no /etc, no systemd).
#   slurm_local.sh start DIR [CPUS] [MEM_MB] [GPUS]   -> writes DIR/env.sh to source
#   slurm_local.sh stop  DIR
set -euo pipefail
export PATH="$PATH:/usr/sbin:/sbin"   # Debian puts slurmctld, slurmd, munged in /usr/sbin
cmd=$1; dir=$(mkdir -p "$2" && cd "$2" && pwd)
stop() { # by own PID files only, children first
  for n in slurmd slurmctld slurmdbd mariadbd munged; do
    f=$dir/$n.pid; [ -s "$f" ] || continue; p=$(cat "$f")
    kill "$p" 2>/dev/null || true
    for _ in $(seq 100); do kill -0 "$p" 2>/dev/null || break; sleep 0.1; done
    rm -f "$f"
  done; }
if [ "$cmd" = stop ]; then stop; exit 0; fi
cpus=${3:-$(nproc)}; mem=${4:-4000}; gpus=${5:-1}; me=$(id -un)
free() { python3 -c 'import socket;s=socket.socket();s.bind(("127.0.0.1",0));print(s.getsockname()[1])'; }
p1=$(free); p2=$(free); mkdir -p "$dir"/{state,spool,log}; chmod 755 "$dir"
head -c 128 /dev/urandom > "$dir/munge.key"; chmod 400 "$dir/munge.key"
munged --force --key-file="$dir/munge.key" --socket="$dir/munge.sock" --pid-file="$dir/munged.pid" \
       --log-file="$dir/log/munged.log" --seed-file="$dir/munge.seed"
cat > "$dir/slurm.conf" <<C
ClusterName=biocnn
SlurmctldHost=localhost(127.0.0.1)
AuthType=auth/munge
AuthInfo=socket=$dir/munge.sock,cred_expire=5
CredType=cred/munge
SlurmUser=$me
SlurmdUser=$me
SlurmctldPort=$p1
SlurmdPort=$p2
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/log/slurmctld.log
SlurmdLogFile=$dir/log/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=2
JobAcctGatherParams=OverMemoryKill
MpiDefault=none
ReturnToService=2
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_min_interval=100000,sched_interval=2,bf_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
AccountingStorageType=accounting_storage/none
JobRequeue=1
KillWait=2
MinJobAge=600
DefMemPerCPU=500
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
GresTypes=gpu
NodeName=localhost NodeAddr=127.0.0.1 NodeHostname=$(hostname -s) CPUs=$cpus RealMemory=$mem Gres=gpu:fake:$gpus State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=1-00:00:00 DefaultTime=00:05:00 PriorityTier=10 PreemptMode=off State=UP
PartitionName=scavenge Nodes=ALL MaxTime=1-00:00:00 DefaultTime=00:05:00 PriorityTier=1 PreemptMode=REQUEUE GraceTime=2 State=UP
C
: > "$dir/gres.conf"
for i in $(seq 0 $((gpus-1))); do   # any existing character devices serve as stand-ins
  dev=$(echo /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty | cut -d' ' -f$((i+1)))
  echo "NodeName=localhost Name=gpu Type=fake File=$dev" >> "$dir/gres.conf"; done
export SLURM_CONF=$dir/slurm.conf
slurmctld; for _ in $(seq 50); do scontrol ping >/dev/null 2>&1 && break; sleep 0.1; done
setsid slurmd -N localhost
for _ in $(seq 100); do [ "$(sinfo -h -o %t 2>/dev/null | head -1)" = idle ] && break; sleep 0.1; done
# snakemake-executor-plugin-slurm-jobstep 0.6.1 strips SLURM_CONF from the nested srun's
# environment, so wrap the client commands instead of relying on the variable alone.
mkdir -p "$dir/bin"
for c in sbatch srun salloc squeue sinfo scontrol scancel sacct sacctmgr; do
  real=$(command -v $c) || continue
  printf '#!/bin/sh\nSLURM_CONF=%s exec %s "$@"\n' "$dir/slurm.conf" "$real" > "$dir/bin/$c"; chmod +x "$dir/bin/$c"; done
printf 'export SLURM_CONF=%s\nexport PATH=%s:$PATH\n' "$dir/slurm.conf" "$dir/bin" > "$dir/env.sh"
sinfo -h -o '%P %t %c cpus %m MB %G'
