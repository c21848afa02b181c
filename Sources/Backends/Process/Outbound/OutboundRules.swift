// What passes: the rules of one farm's table, as `nft` reads them. This file is the whole of what a sandbox with a way out
// may reach; docs/threat-model.md says it in prose.

import SandboxCore

struct OutboundRules {
    let table: OutboundTable
    let allow: [IPv4Network]
    let resolvers: [IPv4Address]

    /// Ranges in which there are only this host, its neighbours and services of its provider, and those that are not
    /// addresses of one machine: RFC 6890's list, less the documentation ranges, which lead nowhere.
    static let closed = [
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.168.0.0/16",
        "198.18.0.0/15", "224.0.0.0/3",
    ]
    /// Of one sandbox at a time: the host has one table of connections for all.
    static let connections = 1024

    var script: String {
        """
        table inet \(table.name) {
          set sandboxes { type ipv4_addr; flags interval; elements = { \(table.network) }; }
          set closed { type ipv4_addr; flags interval; elements = { \(Self.closed.joined(separator: ", ")) }; }
          set allowed { type ipv4_addr; flags interval; auto-merge; \(elements(allow.map(\.description))) }
          set resolvers { type ipv4_addr; elements = { \(resolvers.map(\.description).joined(separator: ", ")) }; }
          set switched { type ifname; \(elements(table.switched.map { "\"\($0)\"" })) }
          set connections { type ipv4_addr; size 65535; flags dynamic; }

          # At once, where there is a way to say no that does not tell an address of the host.
          chain refused {
            meta l4proto tcp reject with tcp reset
            drop
          }

          # What a sandbox sends to other machines.
          chain leaving {
            meta nfproto != ipv4 drop
            ip saddr != @sandboxes drop
            meta l4proto != { tcp, udp, icmp } drop
            ct state { invalid, untracked } drop comment "these would not be translated"
            ip hdrlength > 5 drop comment "options can name machines on the way"
            ct state new add @connections { ip saddr ct count over \(Self.connections) } goto refused
            ip daddr @resolvers meta l4proto { tcp, udp } th dport 53 accept
            oifname "\(OutboundTable.anyLink)*" goto refused
            ct original ip daddr @allowed accept
            ct status dnat goto refused comment "a published port of this host, by whatever address"
            ip daddr @closed goto refused
          }

          # What is sent to a sandbox.
          chain entering {
            ct state established,related accept
            drop
          }

          chain forward {
            type filter hook forward priority filter; policy accept;
            iifname "\(table.links)*" goto leaving
            oifname "\(table.links)*" goto entering
            iifname @switched oifname != "\(OutboundTable.anyLink)*" ct state != { established, related } ct status ! dnat drop comment "no router for others"
          }

          # The host itself: nothing but a resolver that the operator named.
          chain input {
            type filter hook input priority filter; policy accept;
            iifname "\(table.links)*" ip daddr @resolvers meta l4proto { tcp, udp } th dport 53 accept
            iifname "\(table.links)*" goto refused
          }

          chain output {
            type filter hook output priority filter; policy accept;
            oifname "\(table.links)*" ct state new drop
          }

          chain translate {
            type nat hook postrouting priority srcnat; policy accept;
            ip saddr @sandboxes oifname != "\(OutboundTable.anyLink)*" masquerade
          }
        }

        """
    }

    /// A set's elements; an empty list is written by saying nothing.
    private func elements(_ texts: [String]) -> String { texts.isEmpty ? "" : "elements = { \(texts.joined(separator: ", ")) };" }
}
