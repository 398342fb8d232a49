// SPDX-License-Identifier: MIT OR Apache-2.0
//
// A session on its own device (pppN, a TUN). Its worker holds the TUN and a packet socket that is bound to pppN:
//
//   access interface, ingress   access_in    a frame of a session goes to pppN's ingress, PPPoE header first
//   pppN, ingress               device_in    such a frame passes to the socket; of what the worker writes into the TUN, packets of
//                                            the session's own addresses pass
//   pppN, egress                device_out   what the worker writes into its socket gets its headers and leaves by the access
//                                            interface; packets of the kernel pass to the TUN, and so to the worker
//   access interface, egress    access_out   whatever else comes from a worker's socket is dropped
//
// The loader is ../src/device. Whoever changes what is in the maps makes another version of them (LAYOUT there).

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual MIT/GPL";

// PPPoE (RFC 2516 section 4) and PPP (RFC 1661 section 2).
#define VERSION_TYPE 0x11
#define CODE_SESSION 0x00
#define CODE_PADT 0xa7
#define PPP_IP 0x0021
#define PPP_IPV6 0x0057
#define PPPOE_HEADERS (ETH_HLEN + 6)
#define PPP_HEADERS (PPPOE_HEADERS + 2)
// Protocol, Code, Identifier and Length of a packet of control (RFC 1661 section 5).
#define CONTROL_HEADER 6
// Of them, what a worker sends: all but the Length, so that a packet of the MTU fits with its Protocol.
#define CONTROL_SENT 4

#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define TCP_CHECKSUM 16
#define UDP_CHECKSUM 6
#define IPV4_SOURCE 12
#define IPV6_SOURCE 8
#define IPV6_DESTINATION 24
#define IPV6_HEADER 40
#define CHECKSUM_PARTIAL 3

// Most packets that a worker may have the kernel cut one into, and the longest of them: ppp_wire::offload::MAX_PACKETS, and
// an MRU of 1500.
#define MAX_SEGMENTS 64
#define MAX_SEGMENT 1500

#define MAX_SESSIONS 65536
#define MAX_INTERFACES 4096

// What one pppoed has set. EtherTypes are in network byte order, times in nanoseconds.
struct settings {
	// Hash of its run directory, by which it knows its programs again.
	__u64 owner;
	// Upper half of the marks (SO_MARK) of its workers' sockets; the lower half is the session id.
	__u32 mark_tag;
	__be16 session_type;
	__be16 discovery_type;
	// Buckets of the frames that a worker sends for its link, and of all that it sends: the time of one frame (0: no limit), and
	// of all that may come at once.
	__u64 control_interval;
	__u64 control_burst;
	__u64 frame_interval;
	__u64 frame_burst;
};

// Whose frame it is. In network byte order, but for the access interface's index.
struct peer_key {
	__u32 access;
	__be16 session_id;
	__u8 peer[ETH_ALEN];
};

#define OPEN_IPV4 1
#define OPEN_IPV6 2
#define ANY_IPV4_SOURCE 4

// A session, under the index of its pppN.
struct device {
	__u32 access;
	__u32 flags;
	__be32 ipv4;
	__be16 session_id;
	__u8 peer[ETH_ALEN];
	__u8 own[ETH_ALEN];
	__u8 unused[2];
	__u32 ipv6[4];
};

// Generic cell rates: when the next frame is due, in nanoseconds of the monotonic clock.
struct bucket {
	__u64 control;
	__u64 frames;
};

// Why something was dropped. The names are in ../src/device/drops.rs, in this order.
enum cause {
	MALFORMED,
	SUPER_FRAME,
	NO_SESSION,
	NOT_OPEN,
	IPV4_SOURCE_FORGED,
	IPV6_SOURCE_FORGED,
	CHECKSUM_REQUEST,
	SEGMENTS,
	KIND,
	FLOOD,
	FORGED,
	FAILED,
	CAUSES,
};

struct drops {
	__u64 count[CAUSES];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct settings);
} pppoe_settings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, MAX_SESSIONS);
	__type(key, struct peer_key);
	__type(value, __u32);
} pppoe_peers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, MAX_SESSIONS);
	__type(key, __u32);
	__type(value, struct device);
} pppoe_devices SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, MAX_SESSIONS);
	__type(key, __u32);
	__type(value, struct bucket);
} pppoe_buckets SEC(".maps");

// Under the index of the access interface.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, MAX_INTERFACES);
	__type(key, __u32);
	__type(value, struct drops);
} pppoe_drops SEC(".maps");

// Frames that a worker sent past its pppN, under its session id.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, MAX_SESSIONS);
	__type(key, __u32);
	__type(value, __u64);
} pppoe_forged SEC(".maps");

static __always_inline const struct settings *get_settings(void)
{
	__u32 only = 0;
	return bpf_map_lookup_elem(&pppoe_settings, &only);
}

static __always_inline int drop(__u32 access, enum cause cause)
{
	struct drops *drops = bpf_map_lookup_elem(&pppoe_drops, &access);
	if (drops && cause < CAUSES)
		__sync_fetch_and_add(&drops->count[cause], 1);
	return TC_ACT_SHOT;
}

// Whether a frame may go now. Two processors that ask at once may both be told so, which costs a frame.
static __always_inline int is_due(__u64 *due, __u64 interval, __u64 burst, __u64 now)
{
	__u64 at = *due > now ? *due : now;
	if (at > now + burst)
		return 0;
	*due = at + interval;
	return 1;
}

SEC("classifier")
int access_in(struct __sk_buff *skb)
{
	const struct settings *settings = get_settings();
	if (!settings || skb->protocol != settings->session_type || skb->pkt_type != PACKET_HOST || skb->vlan_present)
		return TC_ACT_UNSPEC;
	// To the end of the PPPoE header. Drivers may have put less than that into the linear part.
	if ((void *)(long)skb->data + PPPOE_HEADERS > (void *)(long)skb->data_end)
		bpf_skb_pull_data(skb, PPPOE_HEADERS);
	__u8 *frame = (void *)(long)skb->data;
	if ((void *)(frame + PPPOE_HEADERS) > (void *)(long)skb->data_end)
		return TC_ACT_UNSPEC;
	struct peer_key key = { .access = skb->ifindex, .session_id = *(__be16 *)(frame + 16) };
	__builtin_memcpy(key.peer, frame + ETH_ALEN, ETH_ALEN);
	__u32 *device = bpf_map_lookup_elem(&pppoe_peers, &key);
	// Of no session: for pppoed's own socket, which may answer with a PADT.
	if (!device)
		return TC_ACT_UNSPEC;
	if (frame[14] != VERSION_TYPE || frame[15] != CODE_SESSION)
		return drop(skb->ifindex, MALFORMED);
	if (skb->gso_size)
		return drop(skb->ifindex, SUPER_FRAME);
	return bpf_redirect(*device, BPF_F_INGRESS);
}

SEC("classifier")
int access_out(struct __sk_buff *skb)
{
	const struct settings *settings = get_settings();
	__u32 mark = skb->mark, session_id = mark & 0xffff;
	if (!settings || mark >> 16 != settings->mark_tag)
		return TC_ACT_UNSPEC;
	__u64 *count = bpf_map_lookup_elem(&pppoe_forged, &session_id), first = 1;
	if (count)
		__sync_fetch_and_add(count, 1);
	else
		bpf_map_update_elem(&pppoe_forged, &session_id, &first, BPF_NOEXIST);
	return drop(skb->ifindex, FORGED);
}

// Of the kernel's own; with CO-RE, wherever they are.
struct sk_buff {
	unsigned char *head, *data;
	__u16 csum_start, csum_offset;
	__u8 ip_summed : 2;
} __attribute__((preserve_access_index));

// Whether the writer of a TUN wants a checksum (VIRTIO_NET_HDR_F_NEEDS_CSUM) elsewhere than where TCP or UDP has it. The kernel fills
// it in after everything that looks at the packet, and so could be made to write an address.
static __always_inline int is_request_forged(struct __sk_buff *skb)
{
	struct sk_buff *buffer = (void *)skb;
	if (BPF_CORE_READ_BITFIELD_PROBED(buffer, ip_summed) != CHECKSUM_PARTIAL)
		return 0;
	long start = BPF_CORE_READ(buffer, csum_start) -
		     (BPF_CORE_READ(buffer, data) - BPF_CORE_READ(buffer, head));
	long offset = BPF_CORE_READ(buffer, csum_offset);
	__u8 header[10];
	if (bpf_skb_load_bytes(skb, 0, header, sizeof(header)))
		return 1;
	int is_ipv4 = header[0] >> 4 == 4;
	long length = is_ipv4 ? (header[0] & 15) * 4 : IPV6_HEADER;
	__u8 protocol = is_ipv4 ? header[9] : header[6];
	if (start != length)
		return 1;
	return !((protocol == IPPROTO_TCP && offset == TCP_CHECKSUM) || (protocol == IPPROTO_UDP && offset == UDP_CHECKSUM));
}

// A host may say on its link, to all on its link, what it has to say before it has an address (RFC 4861, RFC 3810).
static __always_inline int is_unaddressed(struct __sk_buff *skb, const __u32 source[4])
{
	__u8 destination[2];
	if (source[0] | source[1] | source[2] | source[3])
		return 0;
	if (bpf_skb_load_bytes(skb, IPV6_DESTINATION, destination, sizeof(destination)))
		return 0;
	return destination[0] == 0xff && (destination[1] & 15) == 2;
}

static __always_inline int check_source(struct __sk_buff *skb, const struct device *device)
{
	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		__be32 source;
		if (!(device->flags & OPEN_IPV4))
			return drop(device->access, NOT_OPEN);
		if (bpf_skb_load_bytes(skb, IPV4_SOURCE, &source, sizeof(source)))
			return drop(device->access, MALFORMED);
		if (source != device->ipv4 && !(device->flags & ANY_IPV4_SOURCE))
			return drop(device->access, IPV4_SOURCE_FORGED);
		return TC_ACT_UNSPEC;
	}
	if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		__u32 source[4];
		if (!(device->flags & OPEN_IPV6))
			return drop(device->access, NOT_OPEN);
		if (bpf_skb_load_bytes(skb, IPV6_SOURCE, source, sizeof(source)))
			return drop(device->access, MALFORMED);
		if ((source[0] ^ device->ipv6[0]) | (source[1] ^ device->ipv6[1]) | (source[2] ^ device->ipv6[2]) |
		    (source[3] ^ device->ipv6[3])) {
			if (!is_unaddressed(skb, source))
				return drop(device->access, IPV6_SOURCE_FORGED);
		}
		return TC_ACT_UNSPEC;
	}
	return drop(device->access, KIND);
}

static __always_inline int take_from_worker(struct __sk_buff *skb, int looks_at_requests)
{
	const struct settings *settings = get_settings();
	// A TUN's writer can only write IP, so this is a frame that access_in has sent here.
	if (settings && skb->protocol == settings->session_type)
		return TC_ACT_UNSPEC;
	__u32 index = skb->ifindex;
	struct device *device = bpf_map_lookup_elem(&pppoe_devices, &index);
	if (!device)
		return TC_ACT_SHOT;
	if (looks_at_requests && is_request_forged(skb))
		return drop(device->access, CHECKSUM_REQUEST);
	__u32 size = skb->gso_size;
	if (size && (size > MAX_SEGMENT || skb->len > size * (MAX_SEGMENTS + 1)))
		return drop(device->access, SEGMENTS);
	return check_source(skb, device);
}

SEC("classifier")
int device_in(struct __sk_buff *skb)
{
	return take_from_worker(skb, 1);
}

// For a kernel without type information (BTF), whose TUNs have no virtio header then: there are no requests.
SEC("classifier")
int device_in_plain(struct __sk_buff *skb)
{
	return take_from_worker(skb, 0);
}

// A frame from the worker's socket: an IP packet, a packet of control without its Length field, or the wish for a PADT, which is a
// Protocol of 0.
static __always_inline int send_frame(struct __sk_buff *skb, const struct settings *settings, struct device *device)
{
	__u32 index = skb->ifindex, length = skb->len;
	__u8 first[CONTROL_SENT] = {}, headers[PPP_HEADERS + CONTROL_HEADER] = {};
	if (skb->gso_size || skb->vlan_present)
		return drop(device->access, SUPER_FRAME);
	if (length < 2 || bpf_skb_load_bytes(skb, 0, first, 2))
		return drop(device->access, MALFORMED);

	__builtin_memcpy(headers, device->peer, ETH_ALEN);
	__builtin_memcpy(headers + ETH_ALEN, device->own, ETH_ALEN);
	*(__be16 *)(headers + 12) = settings->session_type;
	headers[14] = VERSION_TYPE;
	*(__be16 *)(headers + 16) = device->session_id;

	__u8 version = first[0] >> 4;
	int is_data = version == 4 || version == 6, is_padt = !first[0] && !first[1];
	struct bucket *bucket = bpf_map_lookup_elem(&pppoe_buckets, &index);
	__u64 now = bpf_ktime_get_ns();
	if (!bucket)
		return drop(device->access, NO_SESSION);
	if (settings->frame_interval && !is_due(&bucket->frames, settings->frame_interval, settings->frame_burst, now))
		return drop(device->access, FLOOD);
	if (!is_data && settings->control_interval &&
	    !is_due(&bucket->control, settings->control_interval, settings->control_burst, now))
		return drop(device->access, FLOOD);

	if (is_data) {
		__u32 needed = version == 4 ? OPEN_IPV4 : OPEN_IPV6;
		if (!(device->flags & needed))
			return drop(device->access, NOT_OPEN);
		length += 2;
		*(__be16 *)(headers + PPPOE_HEADERS) = version == 4 ? bpf_htons(PPP_IP) : bpf_htons(PPP_IPV6);
	} else if (is_padt) {
		*(__be16 *)(headers + 12) = settings->discovery_type;
		headers[15] = CODE_PADT;
		length = 0;
	} else {
		// Control protocols begin with 0x80 to 0xff (RFC 1661 section 2).
		if (!(first[0] & 0x80))
			return drop(device->access, KIND);
		if (length < CONTROL_SENT || bpf_skb_load_bytes(skb, 0, first, CONTROL_SENT))
			return drop(device->access, MALFORMED);
		__builtin_memcpy(headers + PPPOE_HEADERS, first, CONTROL_SENT);
		headers[PPP_HEADERS + 2] = length >> 8;
		headers[PPP_HEADERS + 3] = length;
		length += 2;
	}
	headers[18] = length >> 8;
	headers[19] = length;

	// Of a PADT, the Protocol becomes the first bytes of the padding.
	__u32 room = is_padt ? PPPOE_HEADERS : PPP_HEADERS;
	if (skb->len + room < ETH_ZLEN && bpf_skb_change_tail(skb, ETH_ZLEN - room, 0))
		return drop(device->access, FAILED);
	// The helper looks at constants only.
	if (is_padt) {
		if (bpf_skb_change_head(skb, PPPOE_HEADERS, 0) || bpf_skb_store_bytes(skb, 0, headers, PPPOE_HEADERS, 0))
			return drop(device->access, FAILED);
	} else if (is_data) {
		if (bpf_skb_change_head(skb, PPP_HEADERS, 0) || bpf_skb_store_bytes(skb, 0, headers, PPP_HEADERS, 0))
			return drop(device->access, FAILED);
	} else {
		if (bpf_skb_change_head(skb, PPP_HEADERS, 0) ||
		    bpf_skb_store_bytes(skb, 0, headers, PPP_HEADERS + CONTROL_SENT, 0))
			return drop(device->access, FAILED);
	}
	// From here on it is known to have come this way.
	skb->mark = 0;
	return bpf_redirect(device->access, 0);
}

SEC("classifier")
int device_out(struct __sk_buff *skb)
{
	const struct settings *settings = get_settings();
	__u32 index = skb->ifindex;
	struct device *device = bpf_map_lookup_elem(&pppoe_devices, &index);
	if (!settings || !device)
		return TC_ACT_SHOT;
	if (skb->protocol == settings->session_type)
		return send_frame(skb, settings, device);
	if (skb->protocol == bpf_htons(ETH_P_IP))
		return device->flags & OPEN_IPV4 ? TC_ACT_UNSPEC : drop(device->access, NOT_OPEN);
	if (skb->protocol == bpf_htons(ETH_P_IPV6))
		return device->flags & OPEN_IPV6 ? TC_ACT_UNSPEC : drop(device->access, NOT_OPEN);
	return drop(device->access, KIND);
}
